import { Router } from 'express'
import { z } from 'zod'
import type { ChangingEndpoint, Execution } from '../endpoint.ts'
import { isLedgerEntry } from '../facts.ts'
import { newId } from '../new-id.ts'
import type { Simulator } from '../simulator.ts'
import { noSuchIntent } from '../wire/answer.ts'
import { cancelPaymentIntent } from './cancel-payment-intent.ts'
import { capturePaymentIntent } from './capture-payment-intent.ts'
import { createRefund } from './create-refund.ts'

const amount = z.number().int().min(1).optional()
const withAmount = z.strictObject({ amount })
const withoutAmount = z.strictObject({})

/**
 * The gateway's own console: what a person with access to the account does there, without any metadata of ours.
 * `POST /_control/console/payment_intents/:id/refund`, `/capture` and `/cancel`; without an amount, all of it.
 *
 * Each action follows the rules of the API's endpoint and sends the same events. It has no latency and no faults, and
 * its ledger entries say `actor: "console"`.
 */
export function controlConsole(simulator: Simulator): Router {
  const router = Router()
  const mount = <Body extends object, P>(
    name: string,
    body: z.ZodType<Body>,
    endpoint: ChangingEndpoint<P>,
    parametersOf: (intentId: string, given: Body) => P,
  ) => {
    router.post(`/payment_intents/:id/${name}`, (request, response) => {
      const given = body.safeParse(request.body ?? {})
      if (!given.success) {
        response.status(400).json({ error: z.prettifyError(given.error) })
        return
      }
      const { id } = request.params
      const parameters = parametersOf(id, given.data)
      const answer = simulator.books.intents.find(id) ? act(simulator, endpoint, id, parameters) : noSuchIntent(id)
      response.status(answer.status).json(answer.body)
    })
  }
  mount('refund', withAmount, createRefund, (intentId, given) => ({ payment_intent: intentId, amount: given.amount }))
  mount('capture', withAmount, capturePaymentIntent, (_, given) => ({ amount_to_capture: given.amount }))
  mount('cancel', withoutAmount, cancelPaymentIntent, () => ({}))
  return router
}

/** Nothing in here waits: what it reads still holds when it writes. */
function act<P>(simulator: Simulator, endpoint: ChangingEndpoint<P>, id: string, parameters: P): Execution['answer'] {
  const { facts, answer } = endpoint.execute(parameters, simulator.books, {
    id,
    at: simulator.timestamp(),
    requestId: newId('req'),
    idempotencyKey: null,
    bankRefuses: false,
    refundChangeMs: simulator.refundChangeMs,
  })
  simulator.record(facts.map((fact) => (isLedgerEntry(fact) ? { ...fact, actor: 'console' as const } : fact)))
  return answer
}
