import type { problemKinds } from '@seatbelt/http'
import { describe, expect, it } from 'vitest'
import * as schemas from '../src/schemas.ts'
import { accountId, payment, refund } from './fake-payment-operations.ts'
import { foreignKey, key, testApp } from './test-app.ts'

const unknownId = '0192f000-0000-7000-8000-0000000000ff'
const path = `/v1/payments/${payment.id}/refunds`

describe('a refund over HTTP', () => {
  it('in part, with the merchant’s words: 201, and where it is', async () => {
    const { post, calls } = testApp()
    const answer = await post(path).send({ amountMinor: 700, reason: 'Ein Sitz war nass – entschuldigt 🙏' })
    expect([answer.status, answer.headers.location]).toEqual([201, `/v1/refunds/${refund.id}`])
    expect(schemas.refund.parse(answer.body)).toMatchObject({ state: 'succeeded', amountMinor: 700 })
    const asked = { paymentId: payment.id, amountMinor: 700, reason: 'Ein Sitz war nass – entschuldigt 🙏' }
    expect(calls).toMatchObject([{ operation: 'refundPayment', arguments: [{ accountId }, asked] }])
  })

  it('of all that is left, for the empty object: 202 while the gateway has not told, and where to look', async () => {
    const { post, calls } = testApp()
    const answer = await post(path).send({})
    expect(answer.status).toBe(202)
    expect(answer.headers).toMatchObject({ location: `/v1/refunds/${refund.id}`, 'retry-after': '1' })
    expect(schemas.refund.parse(answer.body)).toMatchObject({ state: 'processing' })
    expect(calls.map((call) => call.arguments[1])).toEqual([{ paymentId: payment.id, amountMinor: null, reason: null }])
  })

  it('without a body: 400, and nothing is asked for, because a body that was lost must not give all back', async () => {
    const { post, calls } = testApp()
    const answer = await post(path)
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid-request'])
    expect(answer.body.detail).toContain('{} gives back all that is left')
    expect(calls).toEqual([])
  })

  it.each([
    ['nothing', { amountMinor: 0 }],
    ['less than nothing', { amountMinor: -1 }],
    ['a part of a cent', { amountMinor: 1.5 }],
    ['more than is ever charged', { amountMinor: 1_000_000_000 }],
    ['an amount as text', { amountMinor: '100' }],
    ['no amount where one is given', { amountMinor: null }],
    ['an empty reason', { reason: '' }],
    ['a reason that is not text', { reason: 7 }],
    ['a reason that no column takes', { reason: 'a\u0000b' }],
    ['a reason with half a character', { reason: 'a\ud800b' }],
    ['a reason with the other half', { reason: '\udc00' }],
    ['a reason of a page', { reason: 'x'.repeat(501) }],
    ['a currency of its own', { amountMinor: 1, currency: 'EUR' }],
    ['a list', [{ amountMinor: 1 }]],
  ])('%s: 400, and nothing is asked for', async (_, body) => {
    const { post, calls } = testApp()
    const answer = await post(path).send(body)
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ code: 'invalid-request' satisfies keyof typeof problemKinds })
    expect(calls).toEqual([])
  })

  it('without a key: 400. Of a payment that is not ours, or has an impossible id: 404', async () => {
    const { client, post, calls } = testApp()
    const withoutKey = await client.post(path).auth(key, { type: 'bearer' }).send({})
    expect([withoutKey.status, withoutKey.body.code]).toEqual([400, 'idempotency-key-missing'])
    expect(calls).toEqual([])
    for (const id of [unknownId, 'not-an-id']) {
      const answer = await post(`/v1/payments/${id}/refunds`).send({})
      expect([answer.status, answer.body.code]).toEqual([404, 'payment-not-found'])
    }
    const foreign = await client
      .post(path)
      .auth(foreignKey, { type: 'bearer' })
      .set('Idempotency-Key', 'key-1')
      .send({})
    expect([foreign.status, foreign.body.code]).toEqual([404, 'payment-not-found'])
  })
})

describe('refunds are looked at', () => {
  it('one by one; one that is not ours is not there', async () => {
    const { client, get } = testApp()
    const found = await get(`/v1/refunds/${refund.id}`)
    expect(found.status).toBe(200)
    expect(schemas.refund.parse(found.body)).toMatchObject({ id: refund.id, paymentId: payment.id })
    for (const id of [unknownId, 'not-an-id']) {
      const answer = await get(`/v1/refunds/${id}`)
      expect([answer.status, answer.body.code]).toEqual([404, 'refund-not-found'])
    }
    const foreign = await client.get(`/v1/refunds/${refund.id}`).auth(foreignKey, { type: 'bearer' })
    expect(foreign.status).toBe(404)
  })

  it('by payment, page by page', async () => {
    const { get, calls } = testApp()
    const first = await get(`${path}?limit=1`)
    expect(schemas.refundList.parse(first.body).items).toHaveLength(1)
    const second = await get(`${path}?limit=1&cursor=${first.body.nextCursor}`)
    expect(second.body).toMatchObject({ nextCursor: null })
    expect(calls.map((call) => call.arguments[1])).toEqual([
      { limit: 1, after: null, paymentId: payment.id },
      { limit: 1, after: refund.id, paymentId: payment.id },
    ])
    const unknown = await get(`/v1/payments/${unknownId}/refunds`)
    expect([unknown.status, unknown.body.code]).toEqual([404, 'payment-not-found'])
    expect((await get(`${path}?cursor=nonsense`)).status).toBe(400)
  })

  it('over all payments, by state, page by page', async () => {
    const { get, calls } = testApp()
    const first = await get('/v1/refunds?limit=1&state=needs_review')
    expect(schemas.refundList.parse(first.body).items).toHaveLength(1)
    expect((await get(`/v1/refunds?cursor=${first.body.nextCursor}`)).body).toMatchObject({ nextCursor: null })
    expect(calls.map((call) => call.arguments[1])).toEqual([
      { limit: 1, after: null, state: 'needs_review' },
      { limit: 20, after: refund.id, state: null },
    ])
    const unknown = await get('/v1/refunds?state=lost')
    expect([unknown.status, unknown.body.code]).toEqual([400, 'invalid-request'])
  })

  it('anew, where one waits for a person: 409 where it does not, 404 where it is not ours', async () => {
    const { client, post } = testApp()
    const answer = await post(`/v1/refunds/${refund.id}/review`)
    expect([answer.status, answer.body]).toMatchObject([409, { code: 'refund-not-in-review', state: 'processing' }])
    for (const id of [unknownId, 'not-an-id']) {
      const absent = await post(`/v1/refunds/${id}/review`)
      expect([absent.status, absent.body.code]).toEqual([404, 'refund-not-found'])
    }
    const withoutKey = await client.post(`/v1/refunds/${refund.id}/review`).auth(key, { type: 'bearer' })
    expect([withoutKey.status, withoutKey.body.code]).toEqual([400, 'idempotency-key-missing'])
  })
})
