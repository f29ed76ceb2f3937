import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { developmentApiKey, type RunningGateway, start } from '../src/index.ts'

const ledgerPath = mkdtempSync(join(tmpdir(), 'seatbelt-gateway-'))
let gateway: RunningGateway
let stripe: Stripe

function clientWithKey(apiKey: string): Stripe {
  const { hostname, port } = new URL(gateway.url)
  return new Stripe(apiKey, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false })
}

beforeAll(async () => {
  gateway = await start({ ledgerPath, latencyMs: 0 })
  stripe = clientWithKey(developmentApiKey)
})

afterAll(async () => {
  await gateway.close()
  rmSync(ledgerPath, { recursive: true, force: true })
})

const parameters = {
  amount: 1999,
  currency: 'eur',
  payment_method: 'pm_card_visa',
  allowed_payment_method_types: ['card'],
} satisfies Stripe.PaymentIntentCreateParams

describe('the official stripe package, unchanged', () => {
  it('creates, confirms, retrieves', async () => {
    const created = await stripe.paymentIntents.create({ ...parameters, confirm: false, metadata: { orderId: 'o1' } })
    expect(created).toMatchObject({ status: 'requires_confirmation', metadata: { orderId: 'o1' } })
    const confirmed = await stripe.paymentIntents.confirm(created.id, { error_on_requires_action: true })
    expect(confirmed.status).toBe('succeeded')
    expect(confirmed.lastResponse.requestId).toMatch(/^req_/)
    const retrieved = await stripe.paymentIntents.retrieve(created.id, { expand: ['latest_charge'] })
    expect(retrieved.latest_charge).toMatchObject({ id: confirmed.latest_charge, amount: 1999 })
  })

  it('cancels', async () => {
    const created = await stripe.paymentIntents.create(parameters)
    const cancelled = await stripe.paymentIntents.cancel(created.id, { cancellation_reason: 'abandoned' })
    expect(cancelled.status).toBe('canceled')
  })

  it('pages through a list by itself', async () => {
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.unshift((await stripe.paymentIntents.create(parameters)).id)
    const listed: string[] = []
    for await (const intent of stripe.paymentIntents.list({ limit: 2 })) {
      listed.push(intent.id)
      if (listed.length === ids.length) break
    }
    expect(listed).toEqual(ids)
  })

  it('throws its own typed errors', async () => {
    const { errors } = Stripe
    const { id } = await stripe.paymentIntents.create({ ...parameters, payment_method: 'pm_card_visa_chargeDeclined' })
    await expect(stripe.paymentIntents.confirm(id)).rejects.toBeInstanceOf(errors.StripeCardError)
    await expect(stripe.paymentIntents.retrieve('pi_none')).rejects.toBeInstanceOf(errors.StripeInvalidRequestError)
    await expect(clientWithKey('sk_test_wrong').paymentIntents.list()).rejects.toBeInstanceOf(
      errors.StripeAuthenticationError,
    )

    const idempotencyKey = 'the same'
    await stripe.paymentIntents.create(parameters, { idempotencyKey })
    const other = stripe.paymentIntents.create({ ...parameters, amount: 200 }, { idempotencyKey })
    await expect(other).rejects.toBeInstanceOf(errors.StripeIdempotencyError)
  })
})
