import Stripe from 'stripe'
import { describe, expect, it } from 'vitest'
import { openGateway } from './support.ts'

const { errors } = Stripe

describe('manual capture', () => {
  it('confirm authorizes: no money is captured', async () => {
    const { stripe, authorize, entries } = await openGateway()
    const intent = await authorize({ metadata: { orderId: 'o1' }, expand: ['latest_charge'] })
    expect(intent).toMatchObject({
      status: 'requires_capture',
      capture_method: 'manual',
      amount_capturable: 1999,
      amount_received: 0,
      latest_charge: {
        captured: false,
        paid: true,
        status: 'succeeded',
        amount_captured: 0,
        metadata: { orderId: 'o1' },
      },
    })
    expect(entries().map(({ type, amountMinor }) => [type, amountMinor])).toEqual([
      ['intent.created', 1999],
      ['charge.authorized', 1999],
    ])
    await expect(stripe.paymentIntents.confirm(intent.id)).rejects.toMatchObject({
      code: 'payment_intent_unexpected_state',
    })
  })

  it('capture takes what was authorized, with the same charge', async () => {
    const { stripe, authorize, entries } = await openGateway()
    const authorized = await authorize()
    const captured = await stripe.paymentIntents.capture(
      authorized.id,
      { expand: ['latest_charge'] },
      { idempotencyKey: 'p1:capture:1' },
    )
    expect(captured).toMatchObject({
      status: 'succeeded',
      amount_capturable: 0,
      amount_received: 1999,
      latest_charge: { id: authorized.latest_charge, captured: true, amount_captured: 1999 },
    })
    expect(entries().at(-1)).toMatchObject({
      type: 'charge.captured',
      intentId: authorized.id,
      chargeId: authorized.latest_charge,
      amountMinor: 1999,
      captureMethod: 'manual',
      paymentMethod: 'pm_card_visa',
      idempotencyKey: 'p1:capture:1',
      requestId: captured.lastResponse.requestId,
    })
  })

  it('captures a part, and lets the rest go', async () => {
    const { stripe, authorize, entries } = await openGateway()
    const { id } = await authorize()
    expect(await stripe.paymentIntents.capture(id, { amount_to_capture: 500 })).toMatchObject({
      status: 'succeeded',
      amount: 1999,
      amount_received: 500,
    })
    expect(entries().at(-1)).toMatchObject({ type: 'charge.captured', amountMinor: 500 })
    await expect(stripe.refunds.create({ payment_intent: id, amount: 501 })).rejects.toThrow('greater than unrefunded')
  })

  it('refuses more than was authorized, and a second capture', async () => {
    const { stripe, authorize, types } = await openGateway()
    const { id } = await authorize()
    await expect(stripe.paymentIntents.capture(id, { amount_to_capture: 2_000 })).rejects.toMatchObject({
      code: 'amount_too_large',
      param: 'amount_to_capture',
    })
    await stripe.paymentIntents.capture(id)
    const again = stripe.paymentIntents.capture(id)
    await expect(again).rejects.toBeInstanceOf(errors.StripeInvalidRequestError)
    await expect(again).rejects.toMatchObject({
      statusCode: 400,
      code: 'payment_intent_unexpected_state',
      message: 'This PaymentIntent could not be captured because it has already been captured.',
      payment_intent: { id, status: 'succeeded' },
    })
    expect(types()).toEqual(['intent.created', 'charge.authorized', 'charge.captured'])
  })

  it('refuses what was not authorized, and what does not exist', async () => {
    const { stripe, pay } = await openGateway()
    const unconfirmed = await stripe.paymentIntents.create({ amount: 500, currency: 'eur', capture_method: 'manual' })
    await expect(stripe.paymentIntents.capture(unconfirmed.id)).rejects.toThrow('status of requires_payment_method')
    await expect(stripe.paymentIntents.capture((await pay()).id)).rejects.toThrow('already been captured')
    await expect(stripe.paymentIntents.capture('pi_none')).rejects.toMatchObject({ statusCode: 404 })
  })

  it('cancel gives the authorization back, and no capture comes after it', async () => {
    const { stripe, authorize, entries } = await openGateway()
    const { id, latest_charge: chargeId } = await authorize()
    const cancelled = await stripe.paymentIntents.cancel(id, { expand: ['latest_charge'] })
    expect(cancelled).toMatchObject({
      status: 'canceled',
      amount_capturable: 0,
      latest_charge: { id: chargeId, captured: false, refunded: true, amount_refunded: 1999 },
    })
    await expect(stripe.paymentIntents.capture(id)).rejects.toThrow('status of canceled')
    expect(entries().slice(2)).toMatchObject([
      { type: 'charge.released', chargeId, amountMinor: 1999 },
      { type: 'intent.canceled', intentId: id },
    ])
  })

  it('a declined card is declined at the authorization', async () => {
    const { authorize, types } = await openGateway()
    const declined = authorize({ payment_method: 'pm_card_visa_chargeDeclined' })
    await expect(declined).rejects.toBeInstanceOf(errors.StripeCardError)
    expect(types()).toEqual(['intent.created', 'charge.declined'])
  })

  it.each([
    ['pm_card_seatbelt_captureFails', []],
    ['pm_card_visa', [{ on: 'capture', kind: 'decline' }]],
  ])('a capture can be refused for good (%s)', async (paymentMethod, faults) => {
    const { stripe, authorize, setFaults, entries } = await openGateway()
    await setFaults(...faults)
    const { id, latest_charge: charge } = await authorize({ payment_method: paymentMethod })
    await expect(stripe.paymentIntents.capture(id)).rejects.toMatchObject({
      statusCode: 400,
      type: 'StripeInvalidRequestError',
      code: 'charge_expired_for_capture',
      payment_intent: { id, status: 'canceled', cancellation_reason: 'automatic' },
    })
    expect(await stripe.paymentIntents.retrieve(id)).toMatchObject({ status: 'canceled' })
    await expect(stripe.paymentIntents.capture(id)).rejects.toMatchObject({ code: 'payment_intent_unexpected_state' })
    expect(entries().slice(2)).toMatchObject([
      { type: 'charge.released', chargeId: charge, error: { code: 'charge_expired_for_capture' } },
      { type: 'intent.canceled', cancellationReason: 'automatic' },
    ])
  })

  it.each([
    ['error-before', 'charge.authorized'],
    ['error-after', 'charge.captured'],
  ])('a recorded 500 (%s) is replayed until it is forgotten', async (kind, last) => {
    const { stripe, authorize, setFaults, control, types } = await openGateway()
    const { id } = await authorize()
    await setFaults({ on: 'capture', kind, times: 1 })
    const capture = () => stripe.paymentIntents.capture(id, {}, { idempotencyKey: 'k1' })
    await expect(capture()).rejects.toMatchObject({ statusCode: 500 })
    await expect(capture()).rejects.toMatchObject({ statusCode: 500, headers: { 'idempotent-replayed': 'true' } })
    expect(types().at(-1)).toBe(last)

    await control('/forget-keys')
    const afterwards = await capture().catch((error: unknown) => error)
    expect(afterwards).toMatchObject(kind === 'error-before' ? { status: 'succeeded' } : { statusCode: 400 })
    expect(types().filter((type) => type === 'charge.captured')).toHaveLength(1)
  })

  it('with the same key answers the same, and with another amount 400', async () => {
    const { stripe, authorize } = await openGateway()
    const { id } = await authorize()
    const options = { idempotencyKey: 'k1' }
    const first = await stripe.paymentIntents.capture(id, {}, options)
    const { lastResponse, ...again } = await stripe.paymentIntents.capture(id, {}, options)
    expect(lastResponse.headers['idempotent-replayed']).toBe('true')
    expect(again).toEqual({ ...first, lastResponse: undefined })
    const other = stripe.paymentIntents.capture(id, { amount_to_capture: 1 }, options)
    await expect(other).rejects.toBeInstanceOf(errors.StripeIdempotencyError)
  })

  it('survives a restart: authorized, captured, cancelled and refused', async () => {
    const before = await openGateway()
    const intents = [
      await before.authorize(),
      await before.authorize(),
      await before.authorize(),
      await before.authorize({ payment_method: 'pm_card_seatbelt_captureFails' }),
    ]
    const [open, captured, cancelled, refused] = intents.map(({ id }) => id) as [string, string, string, string]
    await before.stripe.paymentIntents.capture(captured)
    await before.stripe.paymentIntents.cancel(cancelled)
    await before.stripe.paymentIntents.capture(refused).catch(() => {})
    const known = await before.stripe.paymentIntents.list({ expand: ['data.latest_charge'] })
    before.close()

    const after = await openGateway({ ledgerPath: before.ledgerPath })
    expect((await after.stripe.paymentIntents.list({ expand: ['data.latest_charge'] })).data).toEqual(known.data)
    expect(await after.stripe.paymentIntents.capture(open)).toMatchObject({ status: 'succeeded' })
    for (const id of [captured, cancelled, refused]) {
      await expect(after.stripe.paymentIntents.capture(id)).rejects.toMatchObject({ statusCode: 400 })
    }
  })
})
