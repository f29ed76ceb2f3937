import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { buildHall } from '../../../../loadtests/lib/hall.ts'
import { testApp } from '../../../booking-api/test/test-app.ts'
import { seedDemoEvent } from '../../src/seeds/seed-demo-event.ts'

interface Asked {
  readonly key: string | undefined
  readonly body: string
}

/** A booking-api that says this, and what it was asked. */
async function apiThat(answers: { readonly status: number; readonly body: object }) {
  const asked: Asked[] = []
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    asked.push({ key: request.headers['idempotency-key'] as string, body: Buffer.concat(chunks).toString() })
    response.writeHead(answers.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answers.body))
  }
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const event = { id: 'event-1', sections: [{ id: 'section-1', name: 'Stalls Centre' }] }

it('who asks for the demo event twice asks for the same one, on sale now', async () => {
  const { asked, url } = await apiThat({ status: 201, body: event })
  const seeded = [await seedDemoEvent(url), await seedDemoEvent(url)]
  expect(seeded).toEqual(Array(2).fill({ id: 'event-1', sectionId: 'section-1' }))
  expect(asked[0]?.key).toMatch(/^demo-event-\d{4}-\d{2}-\d{2}$/)
  // The same key and another body would be refused. (Over midnight it is tomorrow's.)
  expect(new Set(asked.map(({ key, body }) => key + body)).size).toBe(new Set(asked.map(({ key }) => key)).size)
  const { saleOpensAt, saleClosesAt } = JSON.parse(asked[0]?.body ?? '{}')
  expect([Date.parse(saleOpensAt) <= Date.now(), Date.parse(saleClosesAt) > Date.now()]).toEqual([true, true])
})

it('what the API refuses is said in its own words', async () => {
  const { url } = await apiThat({ status: 400, body: { code: 'invalid-request' } })
  await expect(seedDemoEvent(url)).rejects.toThrow('the demo event was not created: 400 {"code":"invalid-request"}')
})

it.each([100, 400, 10_000, 100_000])(
  'booking-api takes a hall of %i seats, as the demo and the loads sell them',
  async (seats) => {
    const { post, calls } = testApp()
    const sale = { saleOpensAt: '2026-01-01T00:00:00.000Z', saleClosesAt: '2027-01-01T00:00:00.000Z' }
    const response = await post('/v1/events').send({
      ...{ name: 'A concert', currency: 'EUR', ...sale },
      ...buildHall({ seats, places: seats / 2 }),
    })
    expect([response.status, response.body.errors]).toEqual([201, undefined])
    expect(calls).toHaveLength(1)
  },
)
