import { describe, expect, it } from 'vitest'
import { card, openSimulator } from './support.ts'

describe('each way to misbehave', () => {
  it('drop-after: does it, then destroys the connection; the key tells the truth', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind: 'drop-after', rate: 1, times: 1 }])
    await expect(post(`/${id}/confirm`, {}, 'k1')).rejects.toThrow('socket hang up')
    expect(types()).toEqual(['intent.created', 'charge.captured'])
    const { body, headers } = await post(`/${id}/confirm`, {}, 'k1').expect(200)
    expect(body.status).toBe('succeeded')
    expect(headers['idempotent-replayed']).toBe('true')
  })

  it('drop-before: destroys the connection without doing it', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind: 'drop-before', rate: 1 }])
    await expect(post(`/${id}/confirm`)).rejects.toThrow('socket hang up')
    expect(types()).toEqual(['intent.created'])
  })

  it('error-after: does it, then answers 500', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind: 'error-after', rate: 1 }])
    const { body } = await post(`/${id}/confirm`).expect(500)
    expect(body.error.type).toBe('api_error')
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it('error-before: answers 500 without doing it', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind: 'error-before', rate: 1 }])
    await post(`/${id}/confirm`).expect(500)
    expect(types()).toEqual(['intent.created'])
  })

  it('rate-limit: answers 429 without doing it', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind: 'rate-limit', rate: 1 }])
    await post(`/${id}/confirm`).expect(429)
    expect(types()).toEqual(['intent.created'])
  })

  it.each([
    ['unauthorized', 401, undefined],
    ['forbidden', 403, undefined],
    ['refuse', 400, 'parameter_unknown'],
  ])('%s: answers %s without doing it, and the key stays free', async (kind, status, code) => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind, rate: 1, times: 1 }])
    const { body } = await post(`/${id}/confirm`, {}, 'k1').expect(status)
    expect([body.error.type, body.error.code]).toEqual(['invalid_request_error', code])
    expect(types()).toEqual(['intent.created'])
    await post(`/${id}/confirm`, {}, 'k1').expect(200)
  })

  it('refuses before the request is read, by the metadata that the request itself carries', async () => {
    const { post, get, setFaults } = openSimulator()
    const metadata = { accountId: 'a' }
    await setFaults([
      { on: 'create', kind: 'forbidden', rate: 1, metadata },
      { on: 'cancel', kind: 'unauthorized', rate: 1 },
      { on: 'retrieve', kind: 'forbidden', rate: 1 },
    ])
    await post('', { ...card, amount: '0', 'metadata[accountId]': 'a' }).expect(403)
    await post('', { ...card, amount: '0', 'metadata[accountId]': 'b' }).expect(400)
    await post('/pi_none/cancel').expect(401)
    await get('/pi_none').expect(403)
  })

  it('decline: the bank refuses a good card', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'any', kind: 'decline', rate: 1 }])
    const { body } = await post(`/${id}/confirm`).expect(402)
    expect(body.error.decline_code).toBe('generic_decline')
    expect(types()).toEqual(['intent.created', 'charge.declined'])
  })

  it.each([200, 502] as const)(
    'garbage: does it, then answers HTML with %s; the key tells the truth',
    async (status) => {
      const { post, createIntent, setFaults, types } = openSimulator()
      const id = await createIntent()
      await setFaults([{ on: 'confirm', kind: 'garbage', rate: 1, times: 1, status }])
      const { text, headers } = await post(`/${id}/confirm`, {}, 'k1').expect(status)
      expect(headers['content-type']).toBe('text/html')
      expect(text).toContain('<html>')
      expect(types()).toEqual(['intent.created', 'charge.captured'])
      expect((await post(`/${id}/confirm`, {}, 'k1').expect(200)).body.status).toBe('succeeded')
    },
  )

  it.each([
    ['delay', [5, 5_005]],
    ['delay-before', [5_005, 5]],
  ])('%s: waits on its side of the effect', async (kind, expected) => {
    const sleeps: number[] = []
    const { post, createIntent, setFaults } = openSimulator({
      latencyMs: 10,
      sleep: async (delayMs) => void sleeps.push(Math.round(delayMs)),
    })
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind, rate: 1, delayMs: 5_000 }])
    sleeps.length = 0
    await post(`/${id}/confirm`).expect(200)
    // The latency itself is 10 ms with jitter of a half, in two equal parts.
    expect(sleeps).toHaveLength(2)
    for (const [index, delayMs] of sleeps.entries()) expect(Math.abs(delayMs - (expected[index] ?? 0))).toBeLessThan(4)
  })

  it('trickle: does it, then answers for as long as it was told to', async () => {
    const { post, createIntent, setFaults, types } = openSimulator()
    const id = await createIntent()
    await setFaults([{ on: 'confirm', kind: 'trickle', rate: 1, delayMs: 300 }])
    const begun = performance.now()
    const { body } = await post(`/${id}/confirm`).expect(200)
    expect(performance.now() - begun).toBeGreaterThan(250)
    expect(body.status).toBe('succeeded')
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it('befalls looking as well', async () => {
    const { get, createIntent, setFaults } = openSimulator()
    const id = await createIntent()
    await setFaults([
      { on: 'retrieve', kind: 'error-before', rate: 1, times: 1 },
      { on: 'retrieve', kind: 'drop-after', rate: 1, times: 1 },
      { on: 'list', kind: 'garbage', rate: 1, times: 1 },
    ])
    await get(`/${id}`).expect(500)
    await expect(get(`/${id}`)).rejects.toThrow('socket hang up')
    await get(`/${id}`).expect(200)
    expect((await get('')).headers['content-type']).toBe('text/html')
  })
})

describe('rules', () => {
  it('fire as often as they say, and count it', async () => {
    const { http, post, setFaults } = openSimulator()
    await setFaults([{ on: 'create', kind: 'error-before', rate: 1, times: 2 }])
    const statuses: number[] = []
    for (let n = 0; n < 4; n += 1) statuses.push((await post('', card)).status)
    expect(statuses).toEqual([500, 500, 200, 200])
    const { body } = await http.get('/_control/faults').expect(200)
    expect(body.faults).toEqual([{ on: 'create', kind: 'error-before', rate: 1, times: 2, fired: 2 }])
  })

  it('fire at their rate, and in the same places for the same seed', async () => {
    const { post, setFaults } = openSimulator()
    const run = async (seed: number) => {
      await setFaults([{ on: 'create', kind: 'error-before', rate: 0.3 }], seed)
      const statuses: number[] = []
      for (let n = 0; n < 60; n += 1) statuses.push((await post('', card)).status)
      return statuses
    }
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    expect(await run(8)).not.toEqual(first)
    const fired = first.filter((status) => status === 500).length
    expect(fired).toBeGreaterThan(8)
    expect(fired).toBeLessThan(30)
  })

  it('can be meant for some orders only', async () => {
    const { post, createIntent, setFaults } = openSimulator()
    const [mine, other] = [
      await createIntent({ 'metadata[orderId]': 'o1' }),
      await createIntent({ 'metadata[orderId]': 'o2' }),
    ]
    await setFaults([{ on: 'confirm', kind: 'decline', rate: 1, metadata: { orderId: 'o1' } }])
    await post(`/${other}/confirm`).expect(200)
    await post(`/${mine}/confirm`).expect(402)
  })

  it('do not waste what cannot show: a decline on a cancel, an error on a replay', async () => {
    const { http, post, createIntent, setFaults } = openSimulator()
    const id = await createIntent()
    await post(`/${id}/cancel`, {}, 'k1').expect(200)
    await setFaults([
      { on: 'any', kind: 'decline', rate: 1 },
      { on: 'any', kind: 'error-after', rate: 1 },
    ])
    await post(`/${id}/cancel`, {}, 'k1').expect(200)
    const { body } = await http.get('/_control/faults')
    expect(body.faults.map((rule: { fired: number }) => rule.fired)).toEqual([0, 0])
  })

  it('can be wished for by the intent itself, once for each operation', async () => {
    const { post, get, createIntent, types } = openSimulator()
    const id = await createIntent({ 'metadata[fault]': 'confirm:drop-after' })
    await get(`/${id}`).expect(200)
    await expect(post(`/${id}/confirm`, {}, 'k1')).rejects.toThrow('socket hang up')
    await post(`/${id}/confirm`, {}, 'k1').expect(200)
    expect(types()).toEqual(['intent.created', 'charge.captured'])
  })

  it('make a brownout together: half of the answers are slow or 500', async () => {
    const slow: number[] = []
    const { post, setFaults } = openSimulator({
      sleep: async (delayMs) => {
        if (delayMs >= 3_000) slow.push(delayMs)
      },
    })
    await setFaults([
      { on: 'any', kind: 'delay', rate: 0.25, delayMs: 3_000 },
      // A third of the three quarters that are left.
      { on: 'any', kind: 'error-before', rate: 1 / 3 },
    ])
    const statuses: number[] = []
    for (let n = 0; n < 100; n += 1) statuses.push((await post('', card)).status)
    const failed = statuses.filter((status) => status === 500).length
    expect(slow.length).toBeGreaterThan(12)
    expect(failed).toBeGreaterThan(12)
    expect(slow.length + failed).toBeLessThan(70)
  })

  it('replace the earlier ones', async () => {
    const { post, setFaults } = openSimulator()
    await setFaults([{ on: 'any', kind: 'error-before', rate: 1 }])
    await setFaults([])
    await post('', card).expect(200)
  })

  it.each([
    ['an unknown kind', { faults: [{ on: 'any', kind: 'explode', rate: 1 }] }],
    ['an unknown operation', { faults: [{ on: 'dispute', kind: 'delay', rate: 1 }] }],
    ['a kind that only befalls webhooks', { faults: [{ on: 'confirm', kind: 'twice', rate: 1 }] }],
    ['a kind that only befalls requests', { faults: [{ on: 'webhook', kind: 'garbage', rate: 1 }] }],
    ['a rate above 1', { faults: [{ on: 'any', kind: 'delay', rate: 2 }] }],
    ['an unknown field', { faults: [{ on: 'any', kind: 'delay', rate: 1, colour: 'red' }] }],
    ['a delay without end', { faults: [{ on: 'any', kind: 'delay', rate: 1, delayMs: 1e9 }] }],
    ['no rules', {}],
  ])('with %s are refused, and the earlier ones stay', async (_name, body) => {
    const { http, post, setFaults } = openSimulator()
    await setFaults([{ on: 'any', kind: 'error-before', rate: 1 }])
    await http.post('/_control/faults').send(body).expect(400)
    await post('', card).expect(500)
  })
})
