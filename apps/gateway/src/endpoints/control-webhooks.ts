import { Router } from 'express'
import { z } from 'zod'
import type { Simulator } from '../simulator.ts'
import { webhookEndpointSchema } from '../webhooks/endpoint-schema.ts'

/**
 * `POST /_control/webhooks`: where events go from now on, and by which secrets they are signed. It replaces what was, also
 * for events that are still owed. `GET`: how it stands.
 */
export function controlWebhooks(simulator: Simulator): Router {
  const router = Router()

  router.post('/', (request, response) => {
    const wanted = webhookEndpointSchema.safeParse(request.body)
    if (!wanted.success) {
      response.status(400).json({ error: z.prettifyError(wanted.error) })
      return
    }
    simulator.record([{ type: 'webhooks.configured', at: simulator.timestamp(), by: 'control', endpoint: wanted.data }])
    response.json(stateOf(simulator))
  })

  router.get('/', (_request, response) => {
    response.json(stateOf(simulator))
  })

  return router
}

/** Without the secrets: nobody who may only look needs them. */
function stateOf({ books }: Simulator): object {
  const { urls, secrets } = books.webhookEndpoint()
  return { urls, secrets: secrets.length, ...books.webhookCounts() }
}
