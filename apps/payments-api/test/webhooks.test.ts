import { describe, expect, it } from 'vitest'
import { delivery, endpoint } from './fake-webhook-operations.ts'
import { foreignKey, testApp } from './test-app.ts'

describe('the webhook endpoint over HTTP', () => {
  it('is set with its secret in the answer, and asks for no rotation unless it is told to', async () => {
    const { post, calls } = testApp()
    const answer = await post('/v1/webhook-endpoint').send({ url: 'https://shop.example/a' })
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe('/v1/webhook-endpoint')
    expect(answer.body).toMatchObject({ url: 'https://shop.example/a', secret: 'whsec_s' })
    expect(calls.at(-1)?.arguments[1]).toEqual({ url: 'https://shop.example/a', rotateSecret: false })
  })

  it.each([
    [{ url: 'http://shop.example/' }, 'must be https'],
    [{ url: 'https://10.0.0.1/' }, 'must be reachable from the internet'],
    [{ url: 'https://localhost/' }, 'must be reachable from the internet'],
    [{ url: 'https://user:hunter2@shop.example/' }, 'must not carry credentials'],
    [{ url: 'shop.example' }, 'must be a URL'],
    [{ url: 'https://shop.example/\ud800' }, 'must not have control characters, or half ones'],
    [{ url: 'https://shop.example/\u0000' }, 'must not have control characters, or half ones'],
    [{ url: 'https://shop.example/\n' }, 'must not have control characters, or half ones'],
    [{ url: 7 }, 'must be text'],
    [{ url: `https://shop.example/${'a'.repeat(2_048)}` }, 'must have at most 2048 characters'],
    [{ url: 'https://shop.example/', rotateSecret: 'yes' }, 'must be true or false'],
    [{ url: 'https://shop.example/', secret: 'whsec_mine' }, 'is not known here'],
    [{}, 'is required'],
  ])('is refused as %j, and nothing of it is said again but what is wrong', async (body, message) => {
    const { post, calls } = testApp()
    const answer = await post('/v1/webhook-endpoint').send(body)
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ code: 'invalid-request', errors: [{ message }] })
    expect(answer.text).not.toMatch(/hunter2|whsec_mine/)
    expect(calls).toEqual([])
  })

  it('is shown without a secret, and not at all to who has none', async () => {
    const { get, client } = testApp()
    const answer = await get('/v1/webhook-endpoint')
    expect(answer.body).toEqual({
      ...{ url: endpoint.url, createdAt: '2026-11-20T10:00:00.000Z', updatedAt: '2026-11-20T10:00:00.000Z' },
    })
    const foreign = await client.get('/v1/webhook-endpoint').auth(foreignKey, { type: 'bearer' })
    expect([foreign.status, foreign.body.code]).toEqual([404, 'webhook-endpoint-not-found'])
  })
})

describe('deliveries over HTTP', () => {
  it('are listed by their state, page by page', async () => {
    const { get, calls } = testApp()
    const first = await get('/v1/webhook-deliveries?state=dead&limit=1')
    expect(first.body).toMatchObject({ items: [{ id: delivery.id, type: 'payment.succeeded', lastError: 'HTTP 500' }] })
    await get(`/v1/webhook-deliveries?cursor=${first.body.nextCursor}`)
    expect(calls.map(({ arguments: [, page] }) => page)).toEqual([
      { limit: 1, after: null, state: 'dead' },
      { limit: 20, after: delivery.id, state: null },
    ])
    expect((await get('/v1/webhook-deliveries?state=lost')).status).toBe(400)
  })

  it('are replayed by their id; one that is none is one that nobody knows', async () => {
    const { post } = testApp()
    const refused = async (id: string) => {
      const { status, body } = await post(`/v1/webhook-deliveries/${id}/replay`).send({})
      return [status, body.code]
    }
    expect(await refused(delivery.id)).toEqual([409, 'webhook-delivery-not-dead'])
    expect(await refused('0192f000-0000-7000-8000-0000000000ff')).toEqual([404, 'webhook-delivery-not-found'])
    expect(await refused('none')).toEqual([404, 'webhook-delivery-not-found'])
  })
})
