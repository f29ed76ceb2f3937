import { type Response, Router } from 'express'
import { z } from 'zod'
import { type DisputeStep, disputeSteps, openDispute, stepDispute, withdrawnMinor } from '../dispute.ts'
import type { EntryDraft } from '../facts.ts'
import type { Simulator } from '../simulator.ts'
import { renderDispute } from '../wire/render-dispute.ts'

const amount = z.number().int().min(1)

const opened = z.strictObject({
  paymentIntent: z.string().max(255),
  /** All that was captured, unless it is given. */
  amount: amount.optional(),
  reason: z.string().min(1).max(100).default('fraudulent'),
  /** A question of the bank, before any money is withdrawn. */
  inquiry: z.boolean().default(false),
})

/**
 * Plays the customer and the banks. `POST /_control/disputes` opens a dispute of a captured charge;
 * `POST /_control/disputes/:id/review`, `/win`, `/win-unpaid`, `/reinstate`, `/lose`, `/escalate` and `/close` continue
 * it. `/lose` with an `amount` loses it in part: the gateway reinstates that amount.
 */
export function controlDisputes(simulator: Simulator): Router {
  const router = Router()
  const { books } = simulator
  const refuse = (response: Response, status: number, error: string) => response.status(status).json({ error })
  const record = (response: Response, facts: readonly EntryDraft[]) => {
    simulator.record(facts)
    const dispute = books.disputes.find(facts[0]?.disputeId ?? '')
    response.json({ dispute: dispute && renderDispute(dispute) })
  }

  router.post('/', (request, response) => {
    const given = opened.safeParse(request.body ?? {})
    if (!given.success) return refuse(response, 400, z.prettifyError(given.error))
    const { paymentIntent, amount, reason, inquiry: isInquiry } = given.data
    const charge = books.charges.find(books.intents.find(paymentIntent)?.chargeId ?? '')
    if (!charge || charge.capturedMinor === 0) return refuse(response, 404, `${paymentIntent} has no captured charge`)
    const amountMinor = amount ?? charge.capturedMinor
    if (amountMinor > charge.capturedMinor)
      return refuse(response, 409, `${charge.id} captured ${charge.capturedMinor}, which is less than ${amountMinor}`)
    record(response, openDispute(charge, { amountMinor, reason, isInquiry }, simulator.timestamp()))
  })

  for (const step of Object.keys(disputeSteps) as DisputeStep[]) {
    const body = step === 'lose' ? z.strictObject({ amount: amount.optional() }) : z.strictObject({})
    router.post(`/:id/${step}`, (request, response) => {
      const given = body.safeParse(request.body ?? {})
      if (!given.success) return refuse(response, 400, z.prettifyError(given.error))
      const dispute = books.disputes.find(request.params.id)
      const charge = books.charges.find(dispute?.chargeId ?? '')
      if (!dispute || !charge) return refuse(response, 404, `No such dispute: '${request.params.id}'`)
      const reinstatedMinor = ('amount' in given.data ? given.data.amount : undefined) ?? 0
      if (reinstatedMinor > withdrawnMinor(dispute))
        return refuse(response, 409, `${dispute.id} withdrew ${withdrawnMinor(dispute)}`)
      const facts = stepDispute(dispute, charge, step, reinstatedMinor, simulator.timestamp())
      if (facts === null) return refuse(response, 409, `${dispute.id} is ${dispute.status}`)
      record(response, facts)
    })
  }
  return router
}
