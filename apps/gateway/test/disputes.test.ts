import { describe, expect, it } from 'vitest'
import { openGateway } from './support.ts'

type Gateway = Awaited<ReturnType<typeof openGateway>>

async function opened(gateway: Gateway, how: object = {}) {
  const intent = await gateway.pay({ amount: 1_999 })
  const { status, body } = await gateway.control('/disputes', { paymentIntent: intent.id, ...how })
  expect(status).toBe(200)
  const { id } = body.dispute as { id: string }
  const step = (name: string, given: object = {}) => gateway.control(`/disputes/${id}/${name}`, given)
  return { id, intent, step, look: () => gateway.stripe.disputes.retrieve(id) }
}

async function eventsAbout({ stripe }: Gateway, id: string): Promise<string[]> {
  const { data } = await stripe.events.list({ limit: 100 })
  const about = data.filter((event) => (event.data.object as { id?: string }).id === id)
  return about.map(({ type }) => type).toReversed()
}

const movementsOf = (dispute: { balance_transactions: readonly { amount: number }[] }) =>
  dispute.balance_transactions.map(({ amount }) => amount)

describe('a dispute', () => {
  it('withdraws the amount at once, marks the charge, and allows no refund', async () => {
    const gateway = await openGateway()
    const { id, intent, look } = await opened(gateway)
    const dispute = await look()
    expect(dispute).toMatchObject({
      object: 'dispute',
      amount: 1_999,
      payment_intent: intent.id,
      charge: intent.latest_charge,
      status: 'needs_response',
      reason: 'fraudulent',
      is_charge_refundable: false,
    })
    expect(movementsOf(dispute)).toEqual([-1_999])
    expect(await gateway.stripe.charges.retrieve(String(intent.latest_charge))).toMatchObject({ disputed: true })
    const asked = gateway.stripe.refunds.create({ payment_intent: intent.id, amount: 1 })
    await expect(asked).rejects.toMatchObject({ statusCode: 400, code: 'charge_disputed' })
    expect(await eventsAbout(gateway, id)).toEqual(['charge.dispute.created', 'charge.dispute.funds_withdrawn'])
  })

  it('that is won gives all of it back, and the charge can be refunded', async () => {
    const gateway = await openGateway()
    const { id, intent, step, look } = await opened(gateway)
    await step('review')
    expect((await step('win')).status).toBe(200)
    const dispute = await look()
    expect([dispute.status, ...movementsOf(dispute)]).toEqual(['won', -1_999, 1_999])
    expect((await eventsAbout(gateway, id)).slice(2)).toEqual([
      'charge.dispute.updated',
      'charge.dispute.funds_reinstated',
      'charge.dispute.closed',
    ])
    await gateway.stripe.refunds.create({ payment_intent: intent.id })
  })

  it('that is won may be closed before the money is returned, as may an appeal', async () => {
    const gateway = await openGateway()
    for (const end of ['win-unpaid', 'lose']) {
      const { id, step, look } = await opened(gateway)
      await step(end)
      expect(movementsOf(await look())).toEqual([-1_999])
      expect((await step('reinstate')).status).toBe(200)
      const dispute = await look()
      expect([dispute.status, ...movementsOf(dispute)]).toEqual(['won', -1_999, 1_999])
      const told = (await eventsAbout(gateway, id)).slice(2)
      expect(told).toEqual(['charge.dispute.closed', 'charge.dispute.funds_reinstated'])
      expect((await step('reinstate')).status).toBe(409)
    }
  })

  it('that is lost keeps all of it, or in part what is not reinstated, and allows no refund', async () => {
    const gateway = await openGateway()
    for (const [given, movements] of [
      [{}, [-1_999]],
      [{ amount: 500 }, [-1_999, 500]],
    ] as const) {
      const { intent, step, look } = await opened(gateway)
      await step('lose', given)
      const dispute = await look()
      expect([dispute.status, ...movementsOf(dispute)]).toEqual(['lost', ...movements])
      const asked = gateway.stripe.refunds.create({ payment_intent: intent.id })
      await expect(asked).rejects.toMatchObject({ code: 'charge_disputed' })
    }
  })

  it('that begins as an inquiry withdraws nothing, and allows refunds until it escalates', async () => {
    const gateway = await openGateway()
    const { intent, step, look } = await opened(gateway, { inquiry: true, amount: 1_000 })
    expect(await look()).toMatchObject({ status: 'warning_needs_response', is_charge_refundable: true })
    await gateway.stripe.refunds.create({ payment_intent: intent.id, amount: 500 })
    await step('escalate')
    const dispute = await look()
    expect([dispute.status, ...movementsOf(dispute)]).toEqual(['needs_response', -1_000])
    const closed = await opened(gateway, { inquiry: true })
    await closed.step('close')
    expect(await closed.look()).toMatchObject({ status: 'warning_closed' })
  })

  it('refuses what cannot happen', async () => {
    const gateway = await openGateway()
    const { step } = await opened(gateway)
    expect((await step('close')).status).toBe(409)
    expect((await step('lose', { amount: 2_000 })).status).toBe(409)
    await step('lose')
    expect((await step('win')).status).toBe(409)
    expect((await gateway.control('/disputes/dp_none/win')).status).toBe(404)
    const { id } = await gateway.authorize()
    expect((await gateway.control('/disputes', { paymentIntent: id })).status).toBe(404)
    const paid = await gateway.pay({ amount: 1_999 })
    expect((await gateway.control('/disputes', { paymentIntent: paid.id, amount: 2_000 })).status).toBe(409)
  })

  it('is listed by charge, and is the same after a restart', async () => {
    const gateway = await openGateway()
    const { id, intent, step } = await opened(gateway)
    await opened(gateway)
    await step('win')
    const listed = await gateway.stripe.disputes.list({ payment_intent: intent.id })
    expect(listed.data.map((dispute) => dispute.id)).toEqual([id])
    const before = await gateway.stripe.disputes.list()
    gateway.close()
    const again = await openGateway({ ledgerPath: gateway.ledgerPath })
    expect((await again.stripe.disputes.list()).data).toEqual(before.data)
  })
})
