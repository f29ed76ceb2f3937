import { describe, expect, it } from 'vitest'
import { openGateway } from './support.ts'

type Gateway = Awaited<ReturnType<typeof openGateway>>

function atConsole({ control }: Gateway, intentId: string, action: string, body: object = {}) {
  return control(`/console/payment_intents/${intentId}/${action}`, body)
}

describe("the gateway's own console", () => {
  it('refunds a part and then the rest, without metadata, and marks both in the ledger', async () => {
    const gateway = await openGateway()
    const { id } = await gateway.pay({ metadata: { orderId: 'o1' } })
    const part = await atConsole(gateway, id, 'refund', { amount: 500 })
    expect(part).toMatchObject({ status: 200, body: { object: 'refund', amount: 500, metadata: {} } })
    expect((await atConsole(gateway, id, 'refund')).body).toMatchObject({ amount: 1_499, status: 'succeeded' })
    expect(await atConsole(gateway, id, 'refund')).toMatchObject({
      status: 400,
      body: { error: { code: 'charge_already_refunded' } },
    })
    const refunds = gateway.entries().filter(({ type }) => type === 'refund.created')
    expect(refunds.map(({ actor, metadata }) => ({ actor, metadata }))).toEqual([
      { actor: 'console', metadata: {} },
      { actor: 'console', metadata: {} },
    ])
    expect(gateway.entries()[0]?.actor).toBeNull()
  })

  it('captures a part of an authorization, which the next capture then finds done', async () => {
    const gateway = await openGateway()
    const { id } = await gateway.authorize()
    expect(await atConsole(gateway, id, 'capture', { amount: 700 })).toMatchObject({
      status: 200,
      body: { status: 'succeeded', amount_received: 700 },
    })
    await expect(gateway.stripe.paymentIntents.capture(id)).rejects.toMatchObject({ statusCode: 400 })
  })

  it('cancels an authorization, and sends the events of a cancellation', async () => {
    const gateway = await openGateway()
    const { id } = await gateway.authorize()
    expect((await atConsole(gateway, id, 'cancel')).body).toMatchObject({ status: 'canceled' })
    const events = await gateway.stripe.events.list({ type: 'payment_intent.canceled' })
    expect(events.data).toHaveLength(1)
  })

  it('answers 404 for an intent that is not there, and 400 for an amount that is none', async () => {
    const gateway = await openGateway()
    expect((await atConsole(gateway, 'pi_none', 'refund')).status).toBe(404)
    const { id } = await gateway.pay()
    expect((await atConsole(gateway, id, 'refund', { amount: 0 })).status).toBe(400)
    expect((await atConsole(gateway, id, 'cancel', { amount: 1 })).status).toBe(400)
  })

  it('leads to the same ledger after a restart', async () => {
    const gateway = await openGateway()
    const { id } = await gateway.pay()
    await atConsole(gateway, id, 'refund', { amount: 500 })
    gateway.close()
    const { entries } = await openGateway({ ledgerPath: gateway.ledgerPath })
    expect(entries().at(-1)).toMatchObject({ type: 'refund.created', actor: 'console' })
  })
})

it.each(['charge_disputed', 'charge_not_refundable', 'balance_insufficient'] as const)(
  'a refund that the gateway refuses with %s moves nothing, and the refusal is repeated under its key',
  async (code) => {
    const { stripe, pay, setFaults, types } = await openGateway()
    const { id } = await pay()
    await setFaults({ on: 'refund', kind: 'refuse-refund', code })
    const ask = () => stripe.refunds.create({ payment_intent: id }, { idempotencyKey: 'r1' })
    await expect(ask()).rejects.toMatchObject({ statusCode: 400, code })
    await setFaults()
    await expect(ask()).rejects.toMatchObject({ statusCode: 400, code })
    expect(types()).not.toContain('refund.created')
  },
)
