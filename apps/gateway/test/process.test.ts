import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { eventually } from '@seatbelt/testing'
import Stripe from 'stripe'
import { describe, expect, it, onTestFinished } from 'vitest'
import { developmentApiKey } from '../src/index.ts'
import { clientOf, openReceiver, payment, temporaryFolder } from './support.ts'

interface Running {
  readonly process: ChildProcess
  readonly url: string
}

async function startProcess(ledgerPath: string, environment: Record<string, string> = {}): Promise<Running> {
  const main = join(import.meta.dirname, '../src/main.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    cwd: join(import.meta.dirname, '../../..'),
    env: {
      ...process.env,
      PORT: '0',
      EXIT_WITH_PARENT: '1',
      GATEWAY_LEDGER_PATH: ledgerPath,
      GATEWAY_LATENCY_MS: '0',
      ...environment,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port } = JSON.parse(line)
    if (msg === 'listening') {
      child.stdout.resume()
      return { process: child, url: `http://127.0.0.1:${port}` }
    }
  }
  throw new Error('The gateway ended before it listened')
}

async function exitOf({ process }: Running): Promise<[number | null, string | null]> {
  const [code, signal] = await once(process, 'exit')
  return [code, signal]
}

async function createIntent({ url }: Running, key: string): Promise<{ id: string }> {
  const answer = await fetch(`${url}/v1/payment_intents`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${developmentApiKey}`, 'Idempotency-Key': key },
    body: new URLSearchParams({ amount: '1999', currency: 'eur', payment_method: 'pm_card_visa' }),
  })
  expect(answer.status).toBe(200)
  return (await answer.json()) as { id: string }
}

describe('the process', { timeout: 30_000 }, () => {
  it('is ready, ends with 0 on SIGTERM, and with its parent', async () => {
    const first = await startProcess(temporaryFolder())
    expect((await fetch(`${first.url}/readyz`)).status).toBe(200)
    const firstExit = exitOf(first)
    first.process.kill('SIGTERM')
    expect(await firstExit).toEqual([0, null])

    const second = await startProcess(temporaryFolder())
    const secondExit = exitOf(second)
    second.process.stdin?.destroy()
    expect(await secondExit).toEqual([0, null])
  })

  it('knows after a SIGKILL everything that it had answered', async () => {
    const ledgerPath = temporaryFolder()
    const before = await startProcess(ledgerPath)
    const { id } = await createIntent(before, 'k1')
    const exit = exitOf(before)
    before.process.kill('SIGKILL')
    expect(await exit).toEqual([null, 'SIGKILL'])

    const after = await startProcess(ledgerPath)
    expect((await createIntent(after, 'k1')).id).toBe(id)
    expect((await createIntent(after, 'k2')).id).not.toBe(id)
  })
  it('knows after a SIGKILL every authorization, capture, refund, customer and undelivered event', async () => {
    let mood = 500
    const receiver = await openReceiver(() => mood)
    const environment = {
      GATEWAY_WEBHOOK_URLS: receiver.url,
      GATEWAY_WEBHOOK_SECRETS: 'whsec_of_the_test',
      GATEWAY_WEBHOOK_FIRST_PAUSE_MS: '10',
      GATEWAY_WEBHOOK_MAX_PAUSE_MS: '50',
      GATEWAY_WEBHOOK_ATTEMPTS: '50',
      // Due only after the kill, whatever the machine is busy with.
      GATEWAY_REFUND_CHANGE_MS: '3000',
    }
    const ledgerPath = temporaryFolder()
    const before = await startProcess(ledgerPath, environment)
    const stripe = clientOf(before.url)
    const manual = { ...payment, capture_method: 'manual', confirm: true } as const
    const authorized = await stripe.paymentIntents.create(manual)
    const captured = await stripe.paymentIntents.create({ ...manual, payment_method: 'pm_card_refundFail' })
    await stripe.paymentIntents.capture(captured.id)
    const refund = await stripe.refunds.create({ payment_intent: captured.id }, { idempotencyKey: 'r1' })
    const customer = await stripe.customers.create()
    const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id })
    await eventually('an event was tried', () => receiver.deliveries.length > 0)
    const exit = exitOf(before)
    before.process.kill('SIGKILL')
    await exit

    mood = 200
    const known = receiver.deliveries.length
    const after = clientOf((await startProcess(ledgerPath, environment)).url)
    expect((await after.paymentIntents.capture(authorized.id)).status).toBe('succeeded')
    expect((await after.refunds.create({ payment_intent: captured.id }, { idempotencyKey: 'r1' })).id).toBe(refund.id)
    const charged = await after.paymentIntents.create({
      ...payment,
      customer: customer.id,
      payment_method: method.id,
      off_session: true,
      confirm: true,
    })
    expect(charged.status).toBe('succeeded')
    await eventually(
      'the refund failed by itself',
      async () => (await after.refunds.retrieve(refund.id)).status === 'failed',
      { boundMs: 10_000 },
    )

    const told = await after.events.list({ limit: 100 })
    const arrived = () => new Set(receiver.ids().slice(known))
    await eventually('every event has arrived', () => told.data.every(({ id }) => arrived().has(id)))
    expect(told.data).toHaveLength(9)
    const { payload, signature } = receiver.deliveries.at(-1) ?? { payload: '', signature: '' }
    expect(() => Stripe.webhooks.constructEvent(payload, signature, 'whsec_of_the_test')).not.toThrow()
  })
})
