import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createAuditor } from '../../src/auditor/create-auditor.ts'
import type { Books, LedgerEntry } from '../../src/auditor/evidence.ts'
import { createMeetingPlace } from '../../src/auditor/meeting-place.ts'
import { createRunStore } from '../../src/auditor/run-store.ts'
import { noSeats } from '../../src/auditor/seat-evidence.ts'

export interface ShopManners {
  /** How often it charges a payment that is sent many times. */
  readonly charges: 'once' | 'every-time' | 'never'
  /** False: every payment is answered with 202, for ever. */
  readonly settles: boolean
  /** False: a key may come back with another request. */
  readonly comparesRequests: boolean
  /** False: several payments of one order succeed, each under its own key. */
  readonly knowsThatAnOrderIsPaid: boolean
  /** False: its auditor is not there. */
  readonly hasAuditor: boolean
  /** False: its auditor has forgotten the first that it was told, as one that was restarted has. */
  readonly remembersAll: boolean
}

export interface FakeShop {
  readonly url: string
  close(): Promise<void>
}

interface Order {
  readonly id: string
  readonly amountMinor: number
  readonly currency: string
  readonly receiptEmail: string | null
  paidBy: string | null
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Record<string, string>
}

const accountId = 'account-1'

/** Long enough for the copies of a volley to meet, as the gateway's answer is in the real shop. */
const chargingMs = 30

/**
 * API, gateway's ledger and auditor in one process, with manners that can be spoilt one by one: for the question
 * whether the load tests notice. The auditor is the real one.
 */
export async function startFakeShop(spoilt: Partial<ShopManners> = {}): Promise<FakeShop> {
  const manners: ShopManners = {
    charges: 'once',
    settles: true,
    comparesRequests: true,
    knowsThatAnOrderIsPaid: true,
    hasAuditor: true,
    remembersAll: true,
    ...spoilt,
  }
  const orders = new Map<string, Order>()
  const ledger: LedgerEntry[] = []
  const payments: Books['payments'][number][] = []
  const beingPaid = new Map<string, string>()
  const answers = new Map<string, { readonly request: string; readonly answer: Promise<Answer>; paymentId: string }>()

  async function charge(order: Order, paymentId: string): Promise<Answer> {
    await pause(chargingMs)
    if (!manners.settles) return { status: 202, body: { id: paymentId, state: 'processing' } }
    const chargeId = `ch_${randomUUID()}`
    order.paidBy = paymentId
    const amount = { amountMinor: order.amountMinor, currency: order.currency }
    payments.push({
      ...amount,
      id: paymentId,
      orderId: order.id,
      ...{
        state: 'succeeded',
        capturedMinor: order.amountMinor,
        refundedMinor: 0,
        refundPendingMinor: 0,
        disputedMinor: 0,
        voidAt: null,
      },
      gatewayIntentId: `pi_${paymentId}`,
      gatewayChargeId: chargeId,
      settledAt: new Date(),
    })
    if (manners.charges !== 'never') {
      const entry = { type: 'charge.captured', intentId: `pi_${paymentId}`, chargeId, orderId: order.id, paymentId }
      const noRefund = { refundId: null, refundStatus: null, ourRefundId: null, isByConsole: false }
      const noDispute = { disputeId: null, disputeStatus: null }
      ledger.push({ seq: ledger.length + 1, ...entry, ...noRefund, ...noDispute, customerId: null, ...amount })
    }
    return { status: 201, body: { id: paymentId, orderId: order.id, ...amount, state: 'succeeded' } }
  }

  async function pay(order: Order, key: string, request: string): Promise<Answer> {
    if (manners.charges === 'every-time') return charge(order, randomUUID())
    const known = answers.get(key)
    if (known !== undefined) {
      if (manners.comparesRequests && known.request !== request) return problem(422, 'idempotency-key-reused')
      const answer = await known.answer
      return { ...answer, headers: { 'Idempotent-Replayed': 'true' } }
    }
    const someoneElse = order.paidBy ?? beingPaid.get(order.id)
    if (manners.knowsThatAnOrderIsPaid && someoneElse !== undefined && someoneElse !== null) {
      return problem(409, order.paidBy === null ? 'payment-in-progress' : 'order-already-paid')
    }
    const paymentId = randomUUID()
    beingPaid.set(order.id, paymentId)
    const answer = charge(order, paymentId)
    if (manners.settles) answers.set(key, { request, answer, paymentId })
    return answer
  }

  async function route(request: IncomingMessage): Promise<Answer> {
    const path = request.url ?? ''
    const key = String(request.headers['idempotency-key'] ?? '')
    const body = await readBody(request)
    const orderId = path.split('/')[3] ?? ''
    if (path === '/healthz') return { status: 200, body: {} }
    if (path === '/v1/orders') {
      if (manners.comparesRequests && answers.has(key)) return problem(422, 'idempotency-key-reused')
      const { amountMinor, currency, receiptEmail = null } = JSON.parse(body)
      const order = { id: randomUUID(), amountMinor, currency, receiptEmail, paidBy: null }
      orders.set(order.id, order)
      return { status: 201, body: order }
    }
    if (path.startsWith('/_ledger/orders/')) {
      const captured = ledger.filter((entry) => entry.orderId === orderId)
      return { status: 200, body: { captured, intents: captured.length, declined: 0 } }
    }
    const order = orders.get(orderId)
    if (order === undefined) return problem(404, 'not-found')
    return pay(order, key, `${path} ${body}`)
  }

  async function books(): Promise<Books> {
    const recorded = await Promise.all(
      [...answers].map(async ([key, { answer }]) => {
        const { status, body } = await answer
        return { accountId, key, status, bodySha256: sha256(JSON.stringify(body)), location: null }
      }),
    )
    return {
      readAt: new Date(),
      orders: [...orders.values()].map((order) => ({
        ...{ ...order, accountId, purpose: 'merchant' },
        state: order.paidBy === null ? 'pending' : 'paid',
        createdAt: new Date(),
      })),
      payments,
      disputes: [],
      transfers: payments.map((payment) => ({
        ...{ ...payment, paymentId: payment.id, refundId: null, kind: 'charge' },
        ...{ debitAccount: 'gateway', creditAccount: `merchant:${accountId}` },
      })),
      ...{ refunds: [], subscriptions: [], gatewayCustomers: [], invoices: [], receipts: [], seats: noSeats },
      recordedAnswers: recorded,
      idsByName: new Map(),
      announced: new Set(),
      accountsWithWebhooks: new Set(),
      leftOpenPaymentIds: new Set(),
    }
  }

  const auditor = createAuditor({
    runs: createRunStore(),
    meetings: createMeetingPlace({ waitMs: 200 }),
    summonWitnesses: async () => ({
      since: new Date(0),
      ledger: { entries: ledger, catchUp: async () => 0 },
      mail: null,
      countUnsettled: async () => 0,
      readBooks: books,
    }),
    onError: (error) => console.error(error),
  })

  let forgotten = manners.remembersAll
  const server = createServer((request, response) => {
    if (!forgotten && request.url?.endsWith('/attempts')) {
      forgotten = true
      return void send(response, { status: 202, body: {} })
    }
    if (request.url?.startsWith('/runs/') && manners.hasAuditor) return void auditor(request, response)
    route(request).then(
      (answer) => send(response, answer),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function problem(status: number, code: string): Answer {
  return { status, body: { code } }
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
