import Stripe from 'stripe'
import { describe, expect, it } from 'vitest'
import { openGateway } from './support.ts'

const order = { amount: 1999, currency: 'eur', metadata: { orderId: 'o1' } } satisfies Stripe.PaymentIntentCreateParams

async function openWithIntent(more: Partial<Stripe.PaymentIntentCreateParams> = {}) {
  const gateway = await openGateway()
  const intent = await gateway.stripe.paymentIntents.create({ ...order, ...more })
  const { id } = intent
  const confirm = (given: Stripe.PaymentIntentConfirmParams, options: Stripe.RequestOptions = {}) =>
    gateway.stripe.paymentIntents.confirm(id, given, options)
  return { ...gateway, intent, confirm }
}

describe('an intent that was created without a card', () => {
  it('requires a payment method and has no error', async () => {
    const { intent, types } = await openWithIntent()
    expect(intent).toMatchObject({
      status: 'requires_payment_method',
      payment_method: null,
      last_payment_error: null,
      latest_charge: null,
    })
    expect(types()).toEqual(['intent.created'])
  })

  it('is charged with the card of the confirm', async () => {
    const { confirm, entries } = await openWithIntent()
    expect(await confirm({ payment_method: 'pm_card_mastercard' })).toMatchObject({
      status: 'succeeded',
      payment_method: 'pm_card_mastercard',
      amount_received: 1999,
    })
    expect(entries()).toMatchObject([
      { type: 'intent.created', paymentMethod: null },
      { type: 'charge.captured', paymentMethod: 'pm_card_mastercard', metadata: { orderId: 'o1' } },
    ])
  })

  it('is not confirmed without a card', async () => {
    const { intent, confirm, types } = await openWithIntent()
    await expect(confirm({ capture_method: 'manual' })).rejects.toMatchObject({
      statusCode: 400,
      type: 'StripeInvalidRequestError',
      code: 'payment_intent_unexpected_state',
      message: expect.stringContaining('missing a payment method'),
      payment_intent: { id: intent.id, status: 'requires_payment_method', capture_method: 'automatic' },
    })
    expect(types()).toEqual(['intent.created'])
  })

  it('keeps the error of a declined card, not the card, and takes another one', async () => {
    const { stripe, intent, confirm, types } = await openWithIntent()
    const declined = confirm({ payment_method: 'pm_card_visa_chargeDeclined' })
    await expect(declined).rejects.toBeInstanceOf(Stripe.errors.StripeCardError)
    expect(await stripe.paymentIntents.retrieve(intent.id)).toMatchObject({
      status: 'requires_payment_method',
      payment_method: null,
      last_payment_error: { type: 'card_error', code: 'card_declined' },
    })
    expect(await confirm({ payment_method: 'pm_card_visa' })).toMatchObject({
      status: 'succeeded',
      last_payment_error: null,
    })
    expect(types()).toEqual(['intent.created', 'charge.declined', 'charge.captured'])
  })

  it('is canceled, and then takes no card', async () => {
    const { stripe, intent, confirm, types } = await openWithIntent()
    expect(await stripe.paymentIntents.cancel(intent.id)).toMatchObject({ status: 'canceled' })
    await expect(confirm({ payment_method: 'pm_card_visa' })).rejects.toMatchObject({
      code: 'payment_intent_unexpected_state',
      payment_intent: { status: 'canceled' },
    })
    expect(types()).toEqual(['intent.created', 'intent.canceled'])
  })

  it('takes only a card of its own customer', async () => {
    const { stripe, types } = await openWithIntent()
    const [owner, other] = [await stripe.customers.create(), await stripe.customers.create()]
    const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: owner.id })
    const confirmFor = async (customer: object) => {
      const { id } = await stripe.paymentIntents.create({ ...order, ...customer })
      return await stripe.paymentIntents.confirm(id, { payment_method: method.id, off_session: true })
    }
    const refusal = { statusCode: 400, param: 'payment_method' }
    await expect(confirmFor({ customer: other.id })).rejects.toMatchObject(refusal)
    await expect(confirmFor({})).rejects.toMatchObject(refusal)
    expect(await confirmFor({ customer: owner.id })).toMatchObject({
      status: 'succeeded',
      customer: owner.id,
      payment_method: method.id,
    })
    expect(types().filter((type) => type !== 'intent.created')).toEqual(['charge.captured'])
  })

  it('declines a card that asks for authentication, as the confirm demands', async () => {
    const { confirm } = await openWithIntent()
    const card = { payment_method: 'pm_card_authenticationRequired' }
    const code = 'authentication_required'
    await expect(confirm({ ...card, off_session: true })).rejects.toMatchObject({ code, decline_code: code })
    await expect(confirm({ ...card, error_on_requires_action: true })).rejects.toMatchObject({
      code,
      decline_code: 'authentication_not_handled',
    })
    expect(await confirm(card)).toMatchObject({ status: 'requires_action', payment_method: card.payment_method })
  })
})

describe('the capture method of a confirm', () => {
  const card = { payment_method: 'pm_card_visa' }

  it('manual authorizes only, although the intent was created without it', async () => {
    const { stripe, intent, confirm, entries } = await openWithIntent()
    const confirmed = await confirm({ ...card, capture_method: 'manual' })
    expect(confirmed).toMatchObject({
      status: 'requires_capture',
      capture_method: 'manual',
      amount_capturable: 1999,
      amount_received: 0,
    })
    expect(await stripe.paymentIntents.retrieve(intent.id)).toMatchObject({ capture_method: 'manual' })
    expect(await stripe.paymentIntents.capture(intent.id)).toMatchObject({ status: 'succeeded' })
    expect(entries().slice(1)).toMatchObject([
      { type: 'charge.authorized', captureMethod: 'manual' },
      { type: 'charge.captured', captureMethod: 'manual' },
    ])
  })

  it('automatic captures at once, although the intent was created as manual', async () => {
    const { confirm, entries } = await openWithIntent({ capture_method: 'manual' })
    expect(await confirm({ ...card, capture_method: 'automatic' })).toMatchObject({
      status: 'succeeded',
      capture_method: 'automatic',
    })
    expect(entries().at(-1)).toMatchObject({ type: 'charge.captured', captureMethod: 'automatic' })
  })

  it.each([
    ['declined', 'pm_card_visa_chargeDeclined'],
    ['waiting for authentication', 'pm_card_authenticationRequired'],
  ])('stays with an intent that is %s, also after a restart', async (_name, paymentMethod) => {
    const before = await openWithIntent()
    const { id } = before.intent
    await before.confirm({ payment_method: paymentMethod, capture_method: 'manual' }).catch(() => {})
    expect(await before.stripe.paymentIntents.retrieve(id)).toMatchObject({ capture_method: 'manual' })
    before.close()

    const { stripe } = await openGateway({ ledgerPath: before.ledgerPath })
    expect(await stripe.paymentIntents.confirm(id, card)).toMatchObject({ status: 'requires_capture' })
  })

  it('is one of the parameters that a key stands for', async () => {
    const { confirm, types } = await openWithIntent()
    const key = { idempotencyKey: 'p1:confirm:1' }
    await confirm({ ...card, capture_method: 'manual' }, key)
    const again = await confirm({ ...card, capture_method: 'manual' }, key)
    expect(again.lastResponse.headers['idempotent-replayed']).toBe('true')
    const others = [
      { ...card, capture_method: 'automatic' as const },
      { payment_method: 'pm_card_amex', capture_method: 'manual' as const },
      card,
    ]
    for (const other of others) {
      await expect(confirm(other, key)).rejects.toBeInstanceOf(Stripe.errors.StripeIdempotencyError)
    }
    expect(types()).toEqual(['intent.created', 'charge.authorized'])
  })

  it('is refused where it is unknown', async () => {
    const { confirm, types } = await openWithIntent()
    const unknown = confirm({ ...card, capture_method: 'by hand' as 'manual' })
    await expect(unknown).rejects.toMatchObject({ statusCode: 400, param: 'capture_method' })
    expect(types()).toEqual(['intent.created'])
  })
})
