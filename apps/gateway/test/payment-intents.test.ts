import { raceCopies, valuesOf } from '@seatbelt/testing'
import { describe, expect, it } from 'vitest'
import { developmentApiKey } from '../src/index.ts'
import { card, createGate, type Form, openSimulator } from './support.ts'

describe('creating', () => {
  it('moves no money', async () => {
    const { post, types } = openSimulator()
    const { body } = await post('', { ...card, 'metadata[orderId]': 'o1', 'allowed_payment_method_types[0]': 'card' })
    expect(body).toMatchObject({
      object: 'payment_intent',
      amount: 1999,
      amount_received: 0,
      currency: 'eur',
      status: 'requires_confirmation',
      latest_charge: null,
      metadata: { orderId: 'o1' },
    })
    expect(types()).toEqual(['intent.created'])
  })

  it('without a payment method waits for one', async () => {
    const { post } = openSimulator()
    const { body } = await post('', { amount: '50', currency: 'usd' }).expect(200)
    expect(body.status).toBe('requires_payment_method')
    const refused = await post(`/${body.id}/confirm`).expect(400)
    expect(refused.body.error.code).toBe('payment_intent_unexpected_state')
    await post(`/${body.id}/confirm`, { payment_method: 'pm_card_mastercard' }).expect(200)
  })

  it('with confirm=true charges at once', async () => {
    const { post, types } = openSimulator()
    const { body } = await post('', { ...card, confirm: 'true', error_on_requires_action: 'true' }).expect(200)
    expect(body.status).toBe('succeeded')
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it.each<[string, Form, string | undefined, string]>([
    ['no amount', { currency: 'eur' }, 'parameter_missing', 'amount'],
    ['no currency', { amount: '500' }, 'parameter_missing', 'currency'],
    ['zero', { ...card, amount: '0' }, 'parameter_invalid_integer', 'amount'],
    ['negative', { ...card, amount: '-1' }, 'parameter_invalid_integer', 'amount'],
    ['a fraction', { ...card, amount: '1.5' }, 'parameter_invalid_integer', 'amount'],
    ['nine digits', { ...card, amount: '100000000' }, 'amount_too_large', 'amount'],
    ['ten digits in rupiahs', { amount: '1000000000', currency: 'idr' }, 'amount_too_large', 'amount'],
    ['less than the minimum', { ...card, amount: '49' }, 'amount_too_small', 'amount'],
    ['less than the minimum of its currency', { amount: '17499', currency: 'huf' }, 'amount_too_small', 'amount'],
    ['a fraction of a króna', { amount: '1999', currency: 'isk' }, undefined, 'amount'],
    ['a dinar whose last digit is not 0', { amount: '5124', currency: 'kwd' }, undefined, 'amount'],
    ['unknown currency', { ...card, currency: 'zzz' }, undefined, 'currency'],
    ['unknown payment method', { ...card, payment_method: 'pm_x' }, 'resource_missing', 'payment_method'],
    ['unknown parameter', { ...card, colour: 'red' }, 'parameter_unknown', 'colour'],
    [
      'the parameter that Stripe removed',
      { ...card, 'payment_method_types[0]': 'card' },
      'payment_method_types_no_longer_supported',
      'payment_method_types',
    ],
    ['another method than cards', { ...card, 'allowed_payment_method_types[0]': 'ideal' }, undefined, ''],
    ['an unknown way to capture', { ...card, capture_method: 'by hand' }, undefined, 'capture_method'],
    ['an unknown customer', { ...card, customer: 'cus_none' }, 'resource_missing', 'customer'],
    ['confirm neither true nor false', { ...card, confirm: 'perhaps' }, undefined, 'confirm'],
    [
      'error_on_requires_action without confirm=true',
      { ...card, error_on_requires_action: 'true' },
      undefined,
      'error_on_requires_action',
    ],
    ['a metadata value of 501 characters', { ...card, 'metadata[a]': 'x'.repeat(501) }, undefined, 'metadata[a]'],
  ])('refuses %s', async (_name, form, code, param) => {
    const { post, types } = openSimulator()
    const { body } = await post('', form).expect(400)
    expect(body.error.type).toBe('invalid_request_error')
    expect(body.error.code).toBe(code)
    if (param !== '') expect(body.error.param).toBe(param)
    expect(types()).toEqual([])
  })
})

describe('the published test payment methods', () => {
  it.each([
    ['pm_card_visa_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
    ['pm_card_visa_chargeDeclinedLostCard', 'card_declined', 'lost_card'],
    ['pm_card_visa_chargeDeclinedStolenCard', 'card_declined', 'stolen_card'],
    ['pm_card_visa_chargeDeclinedVelocityLimitExceeded', 'card_declined', 'card_velocity_exceeded'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', undefined],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc', undefined],
    ['pm_card_chargeDeclinedProcessingError', 'processing_error', undefined],
    ['pm_card_authenticationRequired', 'authentication_required', 'authentication_not_handled'],
  ])('%s declines with %s / %s', async (paymentMethod, code, declineCode) => {
    const { post, get, createIntent, types } = openSimulator()
    const id = await createIntent({ payment_method: paymentMethod })
    const { body } = await post(`/${id}/confirm`, { error_on_requires_action: 'true' }).expect(402)
    expect(body.error).toMatchObject({ type: 'card_error', code, payment_intent: { id } })
    expect(body.error.decline_code).toBe(declineCode)
    expect(types()).toEqual(['intent.created', 'charge.declined'])

    const retrieved = await get(`/${id}`).expect(200)
    expect(retrieved.body).toMatchObject({
      status: 'requires_payment_method',
      payment_method: null,
      amount_received: 0,
      last_payment_error: { type: 'card_error', code },
    })
    expect(retrieved.body).toEqual(body.error.payment_intent)
  })

  it.each(['pm_card_visa', 'pm_card_mastercard', 'pm_card_amex'])('%s pays', async (paymentMethod) => {
    const { post, createIntent, types } = openSimulator()
    const id = await createIntent({ payment_method: paymentMethod })
    const { body } = await post(`/${id}/confirm`).expect(200)
    expect(body).toMatchObject({
      status: 'succeeded',
      amount_received: 1999,
      latest_charge: expect.stringMatching(/^ch_/),
    })
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it('3-D Secure waits for the customer where nobody asked for an error, and can then still be cancelled', async () => {
    const { post, createIntent, types } = openSimulator()
    const id = await createIntent({ payment_method: 'pm_card_authenticationRequired' })
    const { body } = await post(`/${id}/confirm`).expect(200)
    expect(body).toMatchObject({ status: 'requires_action', next_action: { type: 'use_stripe_sdk' } })
    await post(`/${id}/cancel`).expect(200)
    expect(types()).toEqual(['intent.created', 'intent.canceled'])
  })

  it('a declined intent takes another card', async () => {
    const { post, createIntent } = openSimulator()
    const id = await createIntent({ payment_method: 'pm_card_visa_chargeDeclined' })
    await post(`/${id}/confirm`).expect(402)
    await post(`/${id}/confirm`).expect(400)
    const { body } = await post(`/${id}/confirm`, { payment_method: 'pm_card_visa' }).expect(200)
    expect(body).toMatchObject({ status: 'succeeded', last_payment_error: null })
  })
})

describe('an intent', () => {
  it('that succeeded can be neither confirmed nor cancelled, and the refusal shows it', async () => {
    const { post, createIntent, types } = openSimulator()
    const id = await createIntent()
    await post(`/${id}/confirm`).expect(200)
    for (const verb of ['confirm', 'cancel']) {
      const { body } = await post(`/${id}/${verb}`).expect(400)
      expect(body.error).toMatchObject({
        code: 'payment_intent_unexpected_state',
        payment_intent: { id, status: 'succeeded' },
      })
    }
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it('that is cancelled can be neither confirmed nor cancelled again', async () => {
    const { post, createIntent, types } = openSimulator()
    const id = await createIntent()
    const { body } = await post(`/${id}/cancel`, { cancellation_reason: 'abandoned' }).expect(200)
    expect(body).toMatchObject({ status: 'canceled', cancellation_reason: 'abandoned' })
    for (const verb of ['confirm', 'cancel']) {
      const refused = await post(`/${id}/${verb}`, {}).expect(400)
      expect(refused.body.error.payment_intent.status).toBe('canceled')
    }
    await post(`/${id}/confirm`, { payment_method: 'pm_card_mastercard' }).expect(400)
    expect(types()).toEqual(['intent.created', 'intent.canceled'])
  })

  it('succeeds once, however many confirms with different keys are in flight at the same moment', async () => {
    const copies = 8
    const gate = createGate('before the effect', copies)
    const { post, createIntent, types } = openSimulator({ sleep: gate.sleep })
    const id = await createIntent()
    gate.arm()
    const racing = raceCopies(copies, async (copy) => await post(`/${id}/confirm`, {}, `k${copy}`))
    await gate.arrived.wait()
    gate.open()

    const statuses = valuesOf(await racing).map((answer) => answer.status)
    expect(statuses.toSorted()).toEqual([200, ...Array(copies - 1).fill(400)])
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it('is either confirmed or cancelled when both are in flight at the same moment', async () => {
    const gate = createGate('before the effect', 2)
    const { post, createIntent, types } = openSimulator({ sleep: gate.sleep })
    const id = await createIntent()
    gate.arm()
    const racing = raceCopies(2, async (copy) => await post(`/${id}/${copy === 0 ? 'cancel' : 'confirm'}`))
    await gate.arrived.wait()
    gate.open()

    const statuses = valuesOf(await racing).map((answer) => answer.status)
    expect(statuses.toSorted()).toEqual([200, 400])
    expect(types()).toHaveLength(2)
  })

  it('that does not exist is 404 for everybody', async () => {
    const { post, get } = openSimulator()
    for (const asked of [post('/pi_none/confirm'), post('/pi_none/cancel'), get('/pi_none')]) {
      const { body } = await asked.expect(404)
      expect(body.error).toMatchObject({ code: 'resource_missing', param: 'intent' })
    }
  })
})

describe('looking', () => {
  it('expands the charge on request', async () => {
    const { post, get, createIntent } = openSimulator()
    const id = await createIntent()
    const confirmed = await post(`/${id}/confirm`, { 'expand[0]': 'latest_charge' }).expect(200)
    const retrieved = await get(`/${id}?expand[]=latest_charge`).expect(200)
    expect(retrieved.body).toEqual(confirmed.body)
    expect(retrieved.body.latest_charge).toMatchObject({ object: 'charge', amount_captured: 1999, status: 'succeeded' })
    await get(`/${id}?expand[]=customer`).expect(400)
  })

  it('lists newest first, page by page', async () => {
    const { get, createIntent } = openSimulator()
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.unshift(await createIntent())

    const first = await get('?limit=2').expect(200)
    expect(first.body).toMatchObject({ object: 'list', has_more: true })
    const second = await get(`?limit=3&starting_after=${first.body.data[1].id}`).expect(200)
    expect(second.body.has_more).toBe(false)
    expect([...first.body.data, ...second.body.data].map((intent) => intent.id)).toEqual(ids)
    await get('?starting_after=pi_none').expect(400)
    await get('?limit=101').expect(400)
  })

  it('lists by the second in which it was created', async () => {
    let now = new Date('2026-11-20T08:00:00.900Z')
    const { get, createIntent } = openSimulator({ now: () => now })
    const seconds = Math.floor(now.getTime() / 1000)
    const early = await createIntent()
    now = new Date('2026-11-20T08:00:01.100Z')
    const late = await createIntent()
    const listed = async (filter: string) =>
      (await get(`?${filter}`)).body.data.map((intent: { id: string }) => intent.id)

    expect(await listed(`created[gte]=${seconds}`)).toEqual([late, early])
    expect(await listed(`created[gt]=${seconds}`)).toEqual([late])
    expect(await listed(`created[lte]=${seconds}`)).toEqual([early])
    expect(await listed(`created[lt]=${seconds}`)).toEqual([])
  })
})

describe('the door', () => {
  it('takes the key as bearer and as basic user name', async () => {
    const { http } = openSimulator()
    await http.get('/v1/payment_intents').auth(developmentApiKey, { type: 'bearer' }).expect(200)
    await http.get('/v1/payment_intents').auth(developmentApiKey, '').expect(200)
  })

  it('refuses no key and a wrong key, which it does not repeat', async () => {
    const { http } = openSimulator()
    await http.get('/v1/payment_intents').expect(401)
    const secret = 'sk_live_somebodys_real_key_0123456789'
    const { text } = await http.get('/v1/payment_intents').auth(secret, { type: 'bearer' }).expect(401)
    expect(text).not.toContain('somebodys')
  })

  it('gives every answer a request id, also refusals', async () => {
    const { http, get } = openSimulator()
    const ids = [await http.get('/v1/payment_intents'), await get('/pi_none'), await get('')]
    const given = ids.map(({ headers }) => headers['request-id'])
    expect(new Set(given).size).toBe(3)
    for (const id of given) expect(id).toMatch(/^req_\w{24}$/)
  })

  it('refuses JSON, bodies that are too long, and unknown paths, in Stripe’s shape', async () => {
    const { http, post, errors } = openSimulator()
    const authorized = (path: string) => http.post(path).auth(developmentApiKey, { type: 'bearer' })
    const refusals = [
      await authorized('/v1/payment_intents').send({ amount: 500 }).expect(400),
      await post('', { ...card, 'metadata[a]': 'x'.repeat(70_000) }).expect(413),
      await authorized('/v1/disputes').expect(404),
    ]
    for (const { body } of refusals) expect(body.error.type).toBe('invalid_request_error')
    expect(errors).toEqual([])
  })
})
