import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type BillingPhase, billSubscriptions, type LeaderToKill } from '../../src/demo/bill-subscriptions.ts'

const { signal } = new AbortController()
const intervalSeconds = 5

interface Asked {
  readonly key: string
  readonly anchor: string
  readonly gatewayCustomerId: string
  readonly paymentMethod: string
  readonly receiptEmail?: string
}

/** What was asked of the shop, and whether it shows its invoices as paid. */
let asked: Asked[]
let refusals: number
let isPaid: boolean
let server: Server
let url: string

beforeEach(async () => {
  asked = []
  refusals = 0
  isPaid = true
  server = createServer((request, response) => {
    answer(request).then(
      ({ status, body }) => response.writeHead(status).end(JSON.stringify(body)),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

it('makes subscriptions of attached cards that all fall due at one full interval', async () => {
  expect(await billSubscriptions(phase())).toEqual({ subscriptions: 9, leaderKill: null })
  const [anchor, ...others] = new Set(asked.map((one) => one.anchor))
  expect([others, Date.parse(`${anchor}Z`) % (intervalSeconds * 1_000)]).toEqual([[], 0])
  expect(Date.parse(`${anchor}Z`)).toBeGreaterThan(Date.now())
  expect(new Set(asked.map(({ key }) => key)).size).toBe(9)
  for (const { gatewayCustomerId, paymentMethod } of asked) expect(paymentMethod).toBe(`pm-of-${gatewayCustomerId}`)
})

it('asks another replica, with the same key, where one is down', async () => {
  refusals = 3
  await billSubscriptions(phase())
  expect([asked.length, new Set(asked.map(({ key }) => key)).size]).toEqual([12, 9])
})

it('gives the customers an address only where receipts are wanted', async () => {
  await billSubscriptions(phase())
  expect(asked.filter(({ receiptEmail }) => receiptEmail !== undefined)).toEqual([])
  asked = []
  await billSubscriptions(phase({ receipts: true }))
  expect(asked.filter(({ receiptEmail }) => receiptEmail === undefined)).toEqual([])
})

it('kills whoever leads once a quarter is paid, in the middle of payments, and tells of it before it is there again', async () => {
  const { leader, done } = leaderWith({ paid: [0, 2, 3] })
  const { leaderKill } = await billSubscriptions(phase({ leader }))
  expect(leaderKill).toMatchObject({ instance: 'worker-2', payments: 2 })
  expect(done).toEqual(['kill worker-2', 'told', 'start worker-2'])
})

it('kills nobody when all is paid already', async () => {
  const { leader, done } = leaderWith({ paid: [0, 9] })
  expect(await billSubscriptions(phase({ leader }))).toEqual({ subscriptions: 9, leaderKill: null })
  expect(done).toEqual([])
})

it('is broken off by its signal while it waits', async () => {
  isPaid = false
  const stop = new AbortController()
  const billing = billSubscriptions(phase({ signal: stop.signal }))
  await expect.poll(() => asked.length).toBe(9)
  stop.abort('SIGINT')
  await expect(billing).rejects.toBe('SIGINT')
})

function phase(changes: Partial<BillingPhase> = {}): BillingPhase {
  return {
    target: { replicas: [url, url, url], bookingReplicas: [], gatewayUrl: url, auditorUrl: url },
    ...{ run: 'test', subscriptions: 9, intervalSeconds, receipts: false, leader: null, signal },
    ...changes,
  }
}

/** Says that so many are paid, one look after the other. */
function leaderWith({ paid }: { paid: number[] }): { leader: LeaderToKill; done: string[] } {
  const done: string[] = []
  const note = (what: string) => async (instance: string) => void done.push(`${what} ${instance}`)
  const leader: LeaderToKill = {
    stack: { kill: note('kill'), startAgain: note('start'), pid: () => null },
    watch: {
      billingLeader: async () => 'worker-2',
      countPaid: async () => paid.shift() ?? 9,
      countPaymentsOf: async () => 2,
    },
    onKilled: async () => void done.push('told'),
  }
  return { leader, done }
}

async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  const path = request.url ?? ''
  let body = ''
  for await (const chunk of request) body += chunk
  if (path === '/v1/gateway-customers') return { status: 201, body: { id: `cus_${customers++}` } }
  if (path.startsWith('/v1/payment_methods/')) {
    return { status: 200, body: { id: `pm-of-${new URLSearchParams(body).get('customer')}` } }
  }
  if (path === '/v1/subscriptions') {
    asked.push({ ...JSON.parse(body), key: request.headers['idempotency-key'] })
    if (refusals-- > 0) return { status: 503, body: {} }
    return { status: 201, body: { id: String(asked.length) } }
  }
  return { status: 200, body: { id: path, invoices: [{ state: isPaid ? 'paid' : 'open' }] } }
}

let customers = 1
