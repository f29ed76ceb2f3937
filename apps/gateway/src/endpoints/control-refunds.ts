import { Router } from 'express'
import { z } from 'zod'
import { changeRefund } from '../change-refund.ts'
import { canBecome } from '../refund.ts'
import type { Simulator } from '../simulator.ts'
import { renderRefund } from '../wire/render-refund.ts'

/** Stripe's list. Source: https://docs.stripe.com/refunds#failed-refunds */
const failureReasons = [
  'charge_for_pending_refund_disputed',
  'declined',
  'expired_or_canceled_card',
  'insufficient_funds',
  'lost_or_stolen_card',
  'merchant_request',
  'unknown',
] as const

const changes = {
  succeed: { status: 'succeeded', body: z.strictObject({}) },
  fail: { status: 'failed', body: z.strictObject({ failureReason: z.enum(failureReasons).optional() }) },
} as const

/** The bank's answer to a refund, when a test wants it: `POST /_control/refunds/:id/succeed` and `/fail`. */
export function controlRefunds(simulator: Simulator): Router {
  const router = Router()

  for (const [name, { status, body }] of Object.entries(changes)) {
    router.post(`/:id/${name}`, (request, response) => {
      const given = body.safeParse(request.body ?? {})
      if (!given.success) {
        response.status(400).json({ error: z.prettifyError(given.error) })
        return
      }
      const refund = simulator.books.refunds.find(request.params.id)
      if (!refund || !canBecome(refund, status)) {
        const error = refund ? `${refund.id} is ${refund.status}` : `No such refund: '${request.params.id}'`
        response.status(refund ? 409 : 404).json({ error })
        return
      }
      const reason = 'failureReason' in given.data ? given.data.failureReason : undefined
      simulator.record([changeRefund(refund, status, simulator.timestamp(), reason)])
      response.json({ refund: renderRefund(simulator.books.refunds.find(refund.id) ?? refund) })
    })
  }
  return router
}
