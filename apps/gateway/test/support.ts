import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLatch } from '@seatbelt/testing'
import Stripe from 'stripe'
import supertest from 'supertest'
import { onTestFinished } from 'vitest'
import { createApp, createSimulator, developmentApiKey, type SimulatorOptions } from '../src/index.ts'

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-gateway-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export type Form = Record<string, string>

/** A simulator of one test, without latency, and the requests that tests make of it. */
export function openSimulator(options: Partial<SimulatorOptions> = {}) {
  const simulator = createSimulator({ ledgerPath: temporaryFolder(), latencyMs: 0, ...options })
  onTestFinished(() => simulator.close())
  const errors: unknown[] = []
  const app = createApp(simulator, { onError: (error) => errors.push(error) })
  const http = supertest(app)

  const post = (path: string, form: Form = {}, key?: string) => {
    const request = http.post(`/v1/payment_intents${path}`).auth(developmentApiKey, { type: 'bearer' }).type('form')
    return (key === undefined ? request : request.set('Idempotency-Key', key)).send(form)
  }
  return {
    simulator,
    http,
    errors,
    post,
    get: (path: string) => http.get(`/v1/payment_intents${path}`).auth(developmentApiKey, { type: 'bearer' }),
    async createIntent(more: Form = {}): Promise<string> {
      const { body } = await post('', { ...card, ...more }).expect(200)
      return body.id
    },
    async setFaults(faults: readonly object[], seed = 1): Promise<void> {
      await http.post('/_control/faults').send({ faults, seed }).expect(200)
    },
    types: () => simulator.books.entriesAfter(0, 1_000).entries.map((entry) => entry.type),
  }
}

/** The official client, unchanged but for where it asks. */
export function clientOf(url: string, apiKey = developmentApiKey): Stripe {
  const { hostname, port } = new URL(url)
  return new Stripe(apiKey, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false })
}

/** Listens on a port of its own until the test is over, and cuts what is still open then. */
export async function listen(listener: RequestListener): Promise<{ url: string; close: () => void }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  onTestFinished(close)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** A gateway on a port of its own, the official client of it, and what a test asks of it beside. */
export async function openGateway(options: Partial<SimulatorOptions> = {}) {
  const ledgerPath = options.ledgerPath ?? temporaryFolder()
  const simulator = createSimulator({ latencyMs: 0, refundChangeMs: 3_600_000, ...options, ledgerPath })
  onTestFinished(() => simulator.close())
  const { url, close } = await listen(createApp(simulator))
  const entries = () => simulator.books.entriesAfter(0, 1_000).entries
  const stripe = clientOf(url)

  async function control(path: string, body: object = {}): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${url}/_control${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }

  return {
    url,
    /** All that a kill does, but for the process. */
    close() {
      close()
      simulator.close()
    },
    ledgerPath,
    stripe,
    control,
    setFaults: (...faults: object[]) => control('/faults', { faults: faults.map((fault) => ({ rate: 1, ...fault })) }),
    entries,
    types: () => entries().map((entry) => entry.type),
    webhooks: () => simulator.books.webhookCounts(),
    async pay(more: Partial<Stripe.PaymentIntentCreateParams> = {}): Promise<Stripe.PaymentIntent> {
      return await stripe.paymentIntents.create({ ...payment, confirm: true, ...more })
    },
    async authorize(more: Partial<Stripe.PaymentIntentCreateParams> = {}): Promise<Stripe.PaymentIntent> {
      return await stripe.paymentIntents.create({ ...payment, capture_method: 'manual', confirm: true, ...more })
    },
  }
}

export const payment = {
  amount: 1999,
  currency: 'eur',
  payment_method: 'pm_card_visa',
} satisfies Stripe.PaymentIntentCreateParams

export interface Delivery {
  readonly headers: IncomingHttpHeaders
  readonly signature: string
  readonly payload: string
  readonly event: Stripe.Event
}

/** Somebody who receives webhooks, and answers as the test says. */
export async function openReceiver(answer: (delivery: Delivery) => number | Promise<number> = () => 200) {
  const deliveries: Delivery[] = []
  const { url, close } = await listen((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const payload = Buffer.concat(chunks).toString()
      const signature = String(request.headers['stripe-signature'])
      const delivery = { headers: request.headers, signature, payload, event: JSON.parse(payload) }
      deliveries.push(delivery)
      response.statusCode = await answer(delivery)
      response.end()
    })
  })
  return {
    url: `${url}/webhooks`,
    close,
    deliveries,
    types: () => deliveries.map(({ event }) => event.type),
    ids: () => deliveries.map(({ event }) => event.id),
  }
}

export const card: Form = { amount: '1999', currency: 'eur', payment_method: 'pm_card_visa' }

/** Holds every request that comes to the given one of its two waits, until the gate is opened. */
export function createGate(at: 'before the effect' | 'after the effect', expected = 1) {
  const arrived = createLatch(`${expected} requests arrived ${at}`)
  const go = createLatch(`the gate ${at} was opened`)
  const wanted = at === 'before the effect' ? 0 : 1
  let isArmed = false
  let sleeps = 0
  let held = 0
  return {
    arrived,
    open: () => go.open(),
    arm() {
      isArmed = true
    },
    async sleep() {
      if (!isArmed) return
      // With one request under way its waits alternate; with several held before the effect, all are first waits.
      const isWanted = wanted === 0 ? held < expected : sleeps % 2 === 1
      sleeps += 1
      if (!isWanted) return
      held += 1
      if (held === expected) arrived.open()
      await go.wait()
    },
  }
}
