import express, { Router } from 'express'
import { z } from 'zod'
import {
  faultKinds,
  isRefusal,
  isRequestFault,
  isWebhookFault,
  maxDelayMs,
  operations,
  refundRefusalCodes,
} from '../faults.ts'
import type { Simulator } from '../simulator.ts'
import { controlConsole } from './control-console.ts'
import { controlDisputes } from './control-disputes.ts'
import { controlRefunds } from './control-refunds.ts'
import { controlWebhooks } from './control-webhooks.ts'

const faultsBody = z.strictObject({
  faults: z
    .array(
      z
        .strictObject({
          on: z.enum([...operations, 'any']),
          kind: z.enum(faultKinds),
          rate: z.number().min(0).max(1),
          times: z.number().int().min(0).optional(),
          delayMs: z.number().int().min(0).max(maxDelayMs).optional(),
          event: z.string().max(100).optional(),
          status: z.union([z.literal(200), z.literal(502)]).optional(),
          code: z.enum(refundRefusalCodes).optional(),
          metadata: z.record(z.string(), z.string()).optional(),
        })
        .refine(({ on, kind }) => (on === 'webhook' ? isWebhookFault(kind) : isRequestFault(kind) || isRefusal(kind)), {
          error: 'this kind never befalls what it is on',
          path: ['kind'],
        }),
    )
    // Each request walks through all of them.
    .max(50),
  seed: z.number().int().min(0).max(0xffff_ffff).default(1),
})

/** How a test or a load run makes the simulator misbehave. Not Stripe's, without a key. */
export function controlEndpoints(simulator: Simulator): Router {
  const router = Router()
  router.use(express.json({ limit: '64kb' }))
  router.use('/console', controlConsole(simulator))
  router.use('/disputes', controlDisputes(simulator))
  router.use('/refunds', controlRefunds(simulator))
  router.use('/webhooks', controlWebhooks(simulator))

  router.post('/faults', (request, response) => {
    const wanted = faultsBody.safeParse(request.body)
    if (!wanted.success) {
      response.status(400).json({ error: z.prettifyError(wanted.error) })
      return
    }
    simulator.faults.replace(wanted.data.faults, wanted.data.seed)
    response.json({ faults: simulator.faults.list() })
  })

  router.get('/faults', (_request, response) => {
    response.json({ faults: simulator.faults.list() })
  })

  /** What Stripe does after 24 hours. Keys of requests that are being worked on stay in use. */
  router.post('/forget-keys', (_request, response) => {
    simulator.record([{ type: 'keys.forgotten', at: simulator.timestamp() }])
    response.status(204).end()
  })

  return router
}
