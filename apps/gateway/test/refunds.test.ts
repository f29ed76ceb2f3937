import { eventually, raceCopies, valuesOf } from '@seatbelt/testing'
import Stripe from 'stripe'
import { describe, expect, it } from 'vitest'
import { openGateway } from './support.ts'

const { errors } = Stripe

describe('a refund', () => {
  it('gives back all that is left, or a part', async () => {
    const { stripe, pay, entries } = await openGateway()
    const intent = await pay({ metadata: { orderId: 'o1' } })
    const part = await stripe.refunds.create(
      { payment_intent: intent.id, amount: 500, metadata: { refundId: 'r1' }, reason: 'requested_by_customer' },
      { idempotencyKey: 'r1:refund:1' },
    )
    expect(part).toMatchObject({
      object: 'refund',
      amount: 500,
      currency: 'eur',
      charge: intent.latest_charge,
      payment_intent: intent.id,
      status: 'succeeded',
      metadata: { refundId: 'r1' },
      reason: 'requested_by_customer',
    })
    expect(await chargeOf(stripe, intent)).toMatchObject({ amount_refunded: 500, refunded: false })

    const rest = await stripe.refunds.create({ charge: String(intent.latest_charge) })
    expect(rest.amount).toBe(1499)
    expect(await chargeOf(stripe, intent)).toMatchObject({ amount_refunded: 1999, refunded: true })
    expect(entries()[2]).toMatchObject({
      type: 'refund.created',
      intentId: intent.id,
      chargeId: intent.latest_charge,
      refundId: part.id,
      amountMinor: 500,
      currency: 'EUR',
      metadata: { refundId: 'r1' },
      refundReason: 'requested_by_customer',
      refundStatus: 'succeeded',
      idempotencyKey: 'r1:refund:1',
      requestId: part.lastResponse.requestId,
    })
  })

  it('over the rest is refused, and so is one of what was refunded already', async () => {
    const { stripe, pay } = await openGateway()
    const { id, latest_charge: charge } = await pay({ amount: 2145, currency: 'usd' })
    await stripe.refunds.create({ payment_intent: id, amount: 2000 })
    const over = stripe.refunds.create({ payment_intent: id, amount: 2500 })
    await expect(over).rejects.toBeInstanceOf(errors.StripeInvalidRequestError)
    await expect(over).rejects.toMatchObject({
      statusCode: 400,
      param: 'amount',
      code: undefined,
      message: 'Refund amount ($25.00) is greater than unrefunded amount on charge ($1.45)',
    })
    await stripe.refunds.create({ payment_intent: id })
    await expect(stripe.refunds.create({ payment_intent: id, amount: 1 })).rejects.toMatchObject({
      statusCode: 400,
      code: 'charge_already_refunded',
      message: `Charge ${charge} has already been refunded.`,
    })
  })

  it('is of whole units of its currency', async () => {
    const { stripe, pay, authorize } = await openGateway()
    const { id } = await pay({ amount: 2000, currency: 'isk' })
    await expect(stripe.refunds.create({ payment_intent: id, amount: 150 })).rejects.toMatchObject({
      statusCode: 400,
      param: 'amount',
      message: 'Amounts in isk must be divisible by 100.',
    })
    await expect(stripe.refunds.create({ payment_intent: id, amount: 2100 })).rejects.toMatchObject({
      message: expect.stringMatching(
        /^Refund amount \(ISK.21\) is greater than unrefunded amount on charge \(ISK.20\)$/,
      ),
    })
    expect(await stripe.refunds.create({ payment_intent: id, amount: 100 })).toMatchObject({ amount: 100 })
    const onHold = await authorize({ amount: 2000, currency: 'isk' })
    await expect(stripe.paymentIntents.capture(onHold.id, { amount_to_capture: 150 })).rejects.toMatchObject({
      statusCode: 400,
      param: 'amount_to_capture',
    })
  })

  it.each<[string, Stripe.RefundCreateParams, object]>([
    ['of nothing', {}, { message: expect.stringContaining('payment_intent or charge') }],
    ['of two things', { charge: 'ch_1', payment_intent: 'pi_1' }, { statusCode: 400 }],
    ['of an unknown intent', { payment_intent: 'pi_none' }, { code: 'resource_missing', param: 'payment_intent' }],
    ['of an unknown charge', { charge: 'ch_none' }, { code: 'resource_missing', param: 'charge' }],
    [
      'of nothing at all',
      { payment_intent: 'pi_1', amount: 0 },
      { code: 'parameter_invalid_integer', param: 'amount' },
    ],
  ])('%s is refused', async (_name, parameters, error) => {
    const { stripe } = await openGateway()
    await expect(stripe.refunds.create(parameters)).rejects.toMatchObject(error)
  })

  it.each(['unconfirmed', 'authorized', 'declined'])('of what has no money (%s) is refused', async (state) => {
    const { stripe, authorize, types } = await openGateway()
    const unconfirmed = { amount: 500, currency: 'eur', payment_method: 'pm_card_visa_chargeDeclined' }
    const { id } = state === 'authorized' ? await authorize() : await stripe.paymentIntents.create(unconfirmed)
    if (state === 'declined') await stripe.paymentIntents.confirm(id).catch(() => {})
    await expect(stripe.refunds.create({ payment_intent: id })).rejects.toMatchObject({
      statusCode: 400,
      code: 'payment_intent_unexpected_state',
    })
    expect(types()).not.toContain('refund.created')
  })

  it('and others of the same payment at the same moment never exceed it', async () => {
    const { stripe, pay, entries } = await openGateway()
    const { id } = await pay({ amount: 1000 })
    const racing = await raceCopies(8, async () =>
      stripe.refunds.create({ payment_intent: id, amount: 300 }).then(
        () => 'refunded',
        () => 'refused',
      ),
    )
    expect(valuesOf(racing).filter((outcome) => outcome === 'refunded')).toHaveLength(3)
    expect(entries().filter(({ type }) => type === 'refund.created')).toHaveLength(3)
  })

  it.each(['error-before', 'error-after', 'drop-after'])(
    'after %s is found by its metadata, or is not there',
    async (kind) => {
      const { stripe, pay, setFaults } = await openGateway()
      const { id } = await pay()
      // The client sends again what it believes never arrived.
      await setFaults({ on: 'refund', kind, times: kind === 'drop-after' ? 2 : 1 })
      const ask = () =>
        stripe.refunds.create({ payment_intent: id, metadata: { refundId: 'r1' } }, { idempotencyKey: 'k1' })
      await expect(ask()).rejects.toBeInstanceOf(errors.StripeError)
      const { data } = await stripe.refunds.list({ payment_intent: id })
      expect(data.map(({ metadata }) => metadata?.refundId)).toEqual(kind === 'error-before' ? [] : ['r1'])
      // The 500 is recorded under the key; a lost connection is not what was answered.
      if (kind !== 'drop-after') await expect(ask()).rejects.toMatchObject({ statusCode: 500 })
      else expect((await ask()).lastResponse.headers['idempotent-replayed']).toBe('true')
    },
  )

  it('with a key that is used for another amount is refused', async () => {
    const { stripe, pay, types } = await openGateway()
    const { id } = await pay()
    const options = { idempotencyKey: 'k1' }
    const first = await stripe.refunds.create({ payment_intent: id, amount: 1 }, options)
    expect((await stripe.refunds.create({ payment_intent: id, amount: 1 }, options)).id).toBe(first.id)
    const other = stripe.refunds.create({ payment_intent: id, amount: 2 }, options)
    await expect(other).rejects.toBeInstanceOf(errors.StripeIdempotencyError)
    expect(types().filter((type) => type === 'refund.created')).toHaveLength(1)
  })

  it('can be wished to go wrong by its payment, once', async () => {
    const { stripe, pay } = await openGateway()
    const { id } = await pay({ metadata: { fault: 'refund:error-before,list-refunds:error-before' } })
    const ask = () => stripe.refunds.create({ payment_intent: id, metadata: { refundId: 'r1' } })
    await expect(ask()).rejects.toMatchObject({ statusCode: 500 })
    await expect(stripe.refunds.list({ payment_intent: id })).rejects.toMatchObject({ statusCode: 500 })
    expect((await stripe.refunds.list({ payment_intent: id })).data).toEqual([])
    expect((await ask()).status).toBe('succeeded')
  })
})

describe('refunds are looked up', () => {
  it('by id', async () => {
    const { stripe, pay } = await openGateway()
    const { id } = await stripe.refunds.create({ payment_intent: (await pay()).id })
    expect(await stripe.refunds.retrieve(id)).toMatchObject({ id, amount: 1999 })
    await expect(stripe.refunds.retrieve('re_none')).rejects.toMatchObject({ statusCode: 404 })
  })

  it('by intent and by charge, newest first, page by page', async () => {
    const { stripe, pay } = await openGateway()
    const [mine, other] = [await pay(), await pay()]
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) {
      ids.unshift((await stripe.refunds.create({ payment_intent: mine.id, amount: 10 })).id)
      await stripe.refunds.create({ payment_intent: other.id, amount: 10 })
    }
    for (const filter of [{ payment_intent: mine.id }, { charge: String(mine.latest_charge) }]) {
      const listed: string[] = []
      for await (const refund of stripe.refunds.list({ ...filter, limit: 2 })) listed.push(refund.id)
      expect(listed).toEqual(ids)
    }
    const page = await stripe.refunds.list({ payment_intent: mine.id, limit: 2, starting_after: ids[2] ?? '' })
    expect(page).toMatchObject({ has_more: false, data: [{ id: ids[3] }, { id: ids[4] }] })
    expect((await stripe.refunds.list({ limit: 100 })).data).toHaveLength(10)
    for (const filter of [{ payment_intent: 'pi_none' }, { charge: 'ch_none' }, { starting_after: 're_none' }]) {
      await expect(stripe.refunds.list(filter)).rejects.toMatchObject({ code: 'resource_missing' })
    }
  })
})

describe('a refund that changes later', () => {
  it('pm_card_pendingRefund: pending, then succeeded, by itself', async () => {
    const { stripe, pay, entries } = await openGateway({ refundChangeMs: 20 })
    const { id } = await pay({ payment_method: 'pm_card_pendingRefund' })
    const refund = await stripe.refunds.create({ payment_intent: id })
    expect(refund).toMatchObject({ status: 'pending', pending_reason: 'processing' })
    await eventually('it succeeds', async () => (await stripe.refunds.retrieve(refund.id)).status === 'succeeded')
    expect(entries().at(-1)).toMatchObject({ type: 'refund.succeeded', refundId: refund.id, requestId: null })
  })

  it('pm_card_refundFail: succeeded, then failed, by itself, and the money is with the charge again', async () => {
    const { stripe, pay, entries } = await openGateway({ refundChangeMs: 20 })
    const intent = await pay({ payment_method: 'pm_card_refundFail' })
    const refund = await stripe.refunds.create({ payment_intent: intent.id, metadata: { refundId: 'r1' } })
    expect(refund.status).toBe('succeeded')
    await eventually('it fails', async () => (await stripe.refunds.retrieve(refund.id)).status === 'failed')
    expect(await stripe.refunds.retrieve(refund.id)).toMatchObject({ failure_reason: 'expired_or_canceled_card' })
    expect(await chargeOf(stripe, intent)).toMatchObject({ amount_refunded: 0, refunded: false })
    expect(entries().at(-1)).toMatchObject({
      type: 'refund.failed',
      refundId: refund.id,
      amountMinor: 1999,
      metadata: { refundId: 'r1' },
      refundStatus: 'failed',
      failureReason: 'expired_or_canceled_card',
    })
  })

  it('the fault decline makes a refund to a good card fail later', async () => {
    const { stripe, pay, setFaults } = await openGateway({ refundChangeMs: 20 })
    await setFaults({ on: 'refund', kind: 'decline' })
    const { id } = await stripe.refunds.create({ payment_intent: (await pay()).id })
    await eventually('it fails', async () => (await stripe.refunds.retrieve(id)).status === 'failed')
  })

  it('changes when a test says so, and never back', async () => {
    const { stripe, pay, control } = await openGateway()
    const { id: pending } = await stripe.refunds.create({
      payment_intent: (await pay({ payment_method: 'pm_card_pendingRefund' })).id,
    })
    expect(await control(`/refunds/${pending}/succeed`)).toMatchObject({
      status: 200,
      body: { refund: { status: 'succeeded' } },
    })
    expect((await control(`/refunds/${pending}/succeed`)).status).toBe(409)

    const failed = await control(`/refunds/${pending}/fail`, { failureReason: 'lost_or_stolen_card' })
    expect(failed.body).toMatchObject({ refund: { status: 'failed', failure_reason: 'lost_or_stolen_card' } })
    for (const change of ['fail', 'succeed']) expect((await control(`/refunds/${pending}/${change}`)).status).toBe(409)
    expect((await control('/refunds/re_none/fail')).status).toBe(404)
    expect((await control(`/refunds/${pending}/fail`, { failureReason: 'bad mood' })).status).toBe(400)
  })

  it('still changes when the gateway was killed in between', async () => {
    const before = await openGateway()
    const { id: intentId } = await before.pay({ payment_method: 'pm_card_refundFail', metadata: { orderId: 'o1' } })
    const { id } = await before.stripe.refunds.create({ payment_intent: intentId, amount: 100 })
    before.close()

    const later = new Date(Date.now() + 3_600_000)
    const after = await openGateway({ ledgerPath: before.ledgerPath, now: () => later })
    await eventually('it fails', async () => (await after.stripe.refunds.retrieve(id)).status === 'failed')
    const tally = await (await fetch(`${after.url}/_ledger/orders/o1`)).json()
    expect(tally).toMatchObject({ refunds: [{ refundId: id, amountMinor: 100, status: 'failed' }] })
    expect((await after.stripe.refunds.create({ payment_intent: intentId })).amount).toBe(1999)
  })
})

async function chargeOf(stripe: Stripe, intent: Stripe.PaymentIntent): Promise<Stripe.Charge> {
  return await stripe.charges.retrieve(String(intent.latest_charge))
}
