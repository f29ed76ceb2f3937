import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { card, createGate, openSimulator, temporaryFolder } from './support.ts'

describe('a key that was answered', () => {
  it('replays status and body byte for byte, and does nothing again', async () => {
    const { post, types } = openSimulator()
    const first = await post('', card, 'k1').expect(200)
    const again = await post('', card, 'k1').expect(200)

    expect(again.text).toBe(first.text)
    expect(first.headers['idempotent-replayed']).toBeUndefined()
    expect(again.headers['idempotent-replayed']).toBe('true')
    expect(again.headers['original-request']).toBe(first.headers['request-id'])
    expect(again.headers['request-id']).not.toBe(first.headers['request-id'])
    expect(types()).toEqual(['intent.created'])
  })

  it('replays a success, even after the intent has changed', async () => {
    const { post, createIntent } = openSimulator()
    const id = await createIntent({ payment_method: 'pm_card_visa_chargeDeclined' })
    const declined = await post(`/${id}/confirm`, {}, 'k1').expect(402)
    await post(`/${id}/confirm`, { payment_method: 'pm_card_visa' }, 'k2').expect(200)
    const again = await post(`/${id}/confirm`, {}, 'k1').expect(402)
    expect(again.text).toBe(declined.text)
  })

  it('replays a refusal that the endpoint gave while it was executed', async () => {
    const { post, createIntent } = openSimulator()
    const id = await createIntent()
    await post(`/${id}/cancel`, {}, 'k1').expect(200)
    const refused = await post(`/${id}/confirm`, {}, 'k2').expect(400)
    const again = await post(`/${id}/confirm`, {}, 'k2').expect(400)
    expect(again.text).toBe(refused.text)
    expect(again.headers['idempotent-replayed']).toBe('true')
  })

  it.each(['error-before', 'error-after'])('replays a recorded 500 (%s) until it is forgotten', async (kind) => {
    const { http, post, createIntent, setFaults } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind, rate: 1, times: 1 }])
    const first = await post(`/${id}/confirm`, {}, 'k1').expect(500)
    const again = await post(`/${id}/confirm`, {}, 'k1').expect(500)
    expect(again.text).toBe(first.text)
    expect(again.headers['idempotent-replayed']).toBe('true')

    await http.post('/_control/forget-keys').expect(204)
    await post(`/${id}/confirm`, {}, 'k1').expect(kind === 'error-before' ? 200 : 400)
  })

  it('refuses other parameters with 400 idempotency_error', async () => {
    const { post } = openSimulator()
    await post('', card, 'k1').expect(200)
    const { body } = await post('', { ...card, amount: '2000' }, 'k1').expect(400)
    expect(body.error.type).toBe('idempotency_error')
  })

  it('refuses another endpoint with 400 idempotency_error', async () => {
    const { post, createIntent } = openSimulator()
    const id = await createIntent()
    await post(`/${id}/confirm`, {}, 'k1').expect(200)
    const { body } = await post(`/${id}/cancel`, {}, 'k1').expect(400)
    expect(body.error.type).toBe('idempotency_error')
  })

  it('does not care about the order of the fields', async () => {
    const { post } = openSimulator()
    const first = await post('', { amount: '5', currency: 'eur', 'metadata[a]': '1', 'metadata[b]': '2' }, 'k1')
    const again = await post('', { 'metadata[b]': '2', 'metadata[a]': '1', currency: 'eur', amount: '5' }, 'k1')
    expect(again.text).toBe(first.text)
  })

  it('is recognized after an update: its fingerprint in the ledger keeps its form', async () => {
    const ledgerPath = join(temporaryFolder(), 'ledger.jsonl')
    const text = 'POST /payment_intents\n{"amount":"5","currency":"eur","metadata":{"a":"1","b":"2"}}'
    const fingerprint = createHash('sha256').update(text).digest('base64')
    const at = '2026-11-20T08:00:00.000Z'
    const recorded = { type: 'key.recorded', at, key: 'k1', fingerprint, status: 200, body: '{}', requestId: 'req_1' }
    writeFileSync(ledgerPath, `${JSON.stringify(recorded)}\n`)
    const { post } = openSimulator({ ledgerPath, now: () => new Date(at) })
    const form = { 'metadata[b]': '2', currency: 'eur', amount: '5', 'metadata[a]': '1' }
    expect((await post('?a=1', form, 'k1').expect(200)).text).toBe('{}')
    await post('', { ...form, amount: '6' }, 'k1').expect(400)
  })

  it('is as if it never was after the time to live, and even then an intent succeeds only once', async () => {
    let now = new Date('2026-11-20T08:00:00.000Z')
    const { post, types } = openSimulator({ now: () => now, keyTtlMs: 2_000 })
    const first = await post('', card, 'create').expect(200)
    await post(`/${first.body.id}/confirm`, {}, 'confirm').expect(200)

    now = new Date(now.getTime() + 1_999)
    expect((await post('', card, 'create')).body.id).toBe(first.body.id)

    now = new Date(now.getTime() + 1)
    expect((await post('', card, 'create')).body.id).not.toBe(first.body.id)
    const { body } = await post(`/${first.body.id}/confirm`, {}, 'confirm').expect(400)
    expect(body.error.code).toBe('payment_intent_unexpected_state')
    expect(types()).toEqual(['intent.created', 'charge.captured', 'intent.created'])
  })
})

describe('a key whose first request is still running', () => {
  it.each(['before the effect', 'after the effect'] as const)('is refused with 409 (%s)', async (at) => {
    const gate = createGate(at)
    const { post, types } = openSimulator({ sleep: gate.sleep })
    gate.arm()
    const first = post('', card, 'k1').then((answer) => answer)
    await gate.arrived.wait()
    expect(types()).toEqual(at === 'before the effect' ? [] : ['intent.created'])

    const { body, headers } = await post('', card, 'k1').expect(409)
    expect(body.error.code).toBe('idempotency_key_in_use')
    expect(headers['idempotent-replayed']).toBeUndefined()
    await post('', { ...card, amount: '1' }, 'k1').expect(400)

    gate.open()
    const { text } = await first
    expect((await post('', card, 'k1').expect(200)).text).toBe(text)
    expect(types()).toEqual(['intent.created'])
  })
})

describe('what is not recorded, so that the key stays free', () => {
  it('401', async () => {
    const { http, post } = openSimulator()
    const wrong = http.post('/v1/payment_intents').auth('sk_test_wrong', { type: 'bearer' }).type('form')
    await wrong.set('Idempotency-Key', 'k1').send(card).expect(401)
    await post('', card, 'k1').expect(200)
  })

  it('429', async () => {
    const { post, setFaults } = openSimulator()
    await setFaults([{ on: 'create', kind: 'rate-limit', rate: 1, times: 1 }])
    const { body } = await post('', card, 'k1').expect(429)
    expect(body.error.code).toBe('rate_limit')
    await post('', card, 'k1').expect(200)
  })

  it('parameters that do not pass', async () => {
    const { post } = openSimulator()
    await post('', { ...card, amount: 'much' }, 'k1').expect(400)
    await post('', card, 'k1').expect(200)
  })

  it('an intent that does not exist', async () => {
    const { post, createIntent } = openSimulator()
    await post('/pi_none/confirm', {}, 'k1').expect(404)
    const id = await createIntent()
    await post(`/${id}/confirm`, {}, 'k1').expect(200)
  })

  it('a request that never arrived', async () => {
    const { post, setFaults, types } = openSimulator()
    await setFaults([{ on: 'create', kind: 'drop-before', rate: 1, times: 1 }])
    await expect(post('', card, 'k1')).rejects.toThrow()
    expect(types()).toEqual([])
    const { headers } = await post('', card, 'k1').expect(200)
    expect(headers['idempotent-replayed']).toBeUndefined()
  })
})

describe('keys', () => {
  it('have at most 255 characters', async () => {
    const { post } = openSimulator()
    await post('', card, 'k'.repeat(255)).expect(200)
    await post('', card, 'k'.repeat(256)).expect(400)
  })

  it('are echoed, and without one every request is a new one', async () => {
    const { post } = openSimulator()
    const { headers } = await post('', card, 'k1')
    expect(headers['idempotency-key']).toBe('k1')
    const [first, second] = [await post('', card), await post('', card)]
    expect(first.body.id).not.toBe(second.body.id)
  })
})
