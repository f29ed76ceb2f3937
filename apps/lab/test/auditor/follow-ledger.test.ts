import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { countOwedEvents, followLedger } from '../../src/auditor/follow-ledger.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

it('reads all pages, and later only what is new', async () => {
  const seqs = Array.from({ length: 2_500 }, (_, index) => index + 1)
  const { url, asked } = await gatewayWith(seqs)
  const ledger = followLedger(url)
  expect(await ledger.catchUp()).toBe(2_500)
  seqs.push(2_501)
  expect(await ledger.catchUp()).toBe(1)
  expect(ledger.entries.map((entry) => entry.seq)).toEqual(seqs)
  expect(asked).toEqual(['0', '1000', '2000', '2500'])
})

it('takes the order and the payment from the metadata, and currencies in upper case', async () => {
  const ledger = followLedger((await gatewayWith([1])).url)
  await ledger.catchUp()
  expect(ledger.entries[0]).toMatchObject({ orderId: 'order-1', paymentId: null, ourRefundId: null, currency: 'EUR' })
})

it('is incomplete with a gap', async () => {
  const ledger = followLedger((await gatewayWith([1, 2, 4])).url)
  await expect(ledger.catchUp()).rejects.toMatchObject({ code: 'incomplete-read' })
})

it('is incomplete where the gateway is gone, or says what is no ledger', async () => {
  const { url } = await gatewayWith([1])
  await expect(followLedger(`${url}/elsewhere`).catchUp()).rejects.toMatchObject({ code: 'incomplete-read' })
  for (const close of open.splice(0)) await close()
  await expect(followLedger(url).catchUp()).rejects.toMatchObject({ code: 'incomplete-read' })
})

it('hears how many events the gateway still owes, and that it could not hear it', async () => {
  const { url } = await gatewayWith([])
  expect(await countOwedEvents(url)).toBe(3)
  await expect(countOwedEvents(`${url}/elsewhere`)).rejects.toMatchObject({ code: 'incomplete-read' })
})

async function gatewayWith(seqs: readonly number[]): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://gateway')
    if (url.pathname === '/_control/webhooks') return void response.end('{"urls":[],"owed":3,"delivered":9}')
    if (url.pathname !== '/_ledger') return void response.end('<html>')
    const afterSeq = Number(url.searchParams.get('afterSeq'))
    const limit = Number(url.searchParams.get('limit'))
    asked.push(String(afterSeq))
    const page = seqs.filter((seq) => seq > afterSeq).slice(0, limit)
    const last = page.at(-1)
    const hasMore = last !== undefined && seqs.some((seq) => seq > last)
    response.end(JSON.stringify({ entries: page.map(entry), nextAfterSeq: hasMore ? last : null }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

function entry(seq: number) {
  return {
    seq,
    at: '2026-01-01T00:00:00.000Z',
    type: 'charge.captured',
    intentId: 'pi_1',
    chargeId: 'ch_1',
    refundId: null,
    refundStatus: null,
    amountMinor: 100,
    currency: 'eur',
    customerId: null,
    metadata: { orderId: 'order-1' },
    idempotencyKey: null,
    requestId: 'req_1',
  }
}
