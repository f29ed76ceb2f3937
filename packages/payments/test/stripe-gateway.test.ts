import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, createSimulator, type FaultRule } from '@seatbelt/gateway'
import type { GatewayAnswer, IntentParameters } from '@seatbelt/safety'
import { createLatch } from '@seatbelt/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { apiKey, connectTo, unknownAnswer } from './stripe-gateway-support.ts'

const parameters: IntentParameters = {
  amountMinor: 1999,
  currency: 'EUR',
  paymentMethod: 'pm_card_visa',
  cardWith: 'confirm',
  metadata: { paymentId: 'p1', orderId: 'o1', accountId: 'a1' },
}

/** Claimed by the version before, which sent the card with the creation. */
const { cardWith: _, ...oldParameters } = parameters

/** The real simulator, with a count of its requests. */
async function startSimulator(options: { sleep?: (delayMs: number) => Promise<void> } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-stripe-gateway-'))
  const simulator = createSimulator({ ledgerPath: folder, apiKey, latencyMs: 0, ...options })
  const app = createApp(simulator)
  const arrived: string[] = []
  const server = createServer((request, response) => {
    arrived.push(`${request.method} ${request.url?.replace(/pi_\w+/, ':id')}`)
    app(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    simulator.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('The server listens on no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    arrived,
    setFault: (fault: Omit<FaultRule, 'rate'>) => simulator.faults.replace([{ rate: 1, ...fault }], 1),
    heal: () => simulator.faults.replace([], 1),
    types: () => simulator.books.entriesAfter(0, 100).entries.map((entry) => entry.type),
  }
}

async function created(gateway: ReturnType<typeof connectTo>, asked = parameters): Promise<string> {
  return intentIn(await gateway.createIntent(asked, 'p1:create:1')).id
}

function intentIn(answer: GatewayAnswer) {
  if (answer.kind !== 'intent') throw new Error(`An intent was expected, not ${JSON.stringify(answer)}`)
  return answer.intent
}

describe('when all is well', () => {
  it.each([
    ['with the confirm', parameters, 'requires_payment_method'],
    ['with the creation', oldParameters, 'requires_confirmation'],
  ])('creates without moving money, then charges once (card %s)', async (_, asked, status) => {
    const simulator = await startSimulator()
    const gateway = connectTo(simulator.url)
    const unconfirmed = await gateway.createIntent(asked, 'p1:create:1')
    expect(unconfirmed).toEqual({
      kind: 'intent',
      requestId: expect.stringMatching(/^req_/),
      intent: {
        id: expect.stringMatching(/^pi_/),
        status,
        amountMinor: 1999,
        receivedMinor: 0,
        currency: 'EUR',
        chargeId: null,
        declineCode: null,
        metadata: parameters.metadata,
        createdAt: expect.any(Date),
      },
    })
    const { id } = intentIn(unconfirmed)
    const succeeded = intentIn(await gateway.confirmIntent(id, asked, 'p1:confirm:1'))
    expect(succeeded).toMatchObject({ status: 'succeeded', chargeId: expect.stringMatching(/^ch_/) })
    expect(intentIn(await gateway.retrieveIntent(id))).toEqual(succeeded)
    expect(simulator.types()).toEqual(['intent.created', 'charge.captured'])
    expect(simulator.arrived).toEqual([
      'POST /v1/payment_intents',
      'POST /v1/payment_intents/:id/confirm',
      'GET /v1/payment_intents/:id',
    ])
  })

  it.each([parameters, oldParameters])('authorizes, then captures (%o)', async (given) => {
    const simulator = await startSimulator()
    const gateway = connectTo(simulator.url)
    const asked = { ...given, captureMethod: 'manual' } as const
    const id = await created(gateway, asked)
    const authorized = intentIn(await gateway.confirmIntent(id, asked, 'p1:confirm:1'))
    expect(authorized).toMatchObject({ status: 'requires_capture', receivedMinor: 0 })
    expect(intentIn(await gateway.captureIntent(id, 'p1:capture:1', 'account'))).toMatchObject({
      status: 'succeeded',
      receivedMinor: 1999,
      chargeId: authorized.chargeId,
    })
    expect(simulator.types()).toEqual(['intent.created', 'charge.authorized', 'charge.captured'])
  })

  it('sends the same answer to the same key', async () => {
    const gateway = connectTo((await startSimulator()).url)
    const id = await created(gateway)
    expect(await created(gateway)).toBe(id)
  })

  it('cancels, after which a confirm is rejected', async () => {
    const simulator = await startSimulator()
    const gateway = connectTo(simulator.url)
    const id = await created(gateway)
    expect(intentIn(await gateway.cancelIntent(id, 'p1:cancel:1', 'account')).status).toBe('canceled')
    expect(await gateway.confirmIntent(id, parameters, 'p1:confirm:1')).toMatchObject({
      kind: 'rejected',
      status: 400,
      errorCode: 'payment_intent_unexpected_state',
    })
    expect(simulator.types()).toEqual(['intent.created', 'intent.canceled'])
  })
})

describe('evidence that no money moved', () => {
  it.each([
    ['pm_card_visa_chargeDeclined', 'generic_decline'],
    ['pm_card_visa_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card'],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc'],
    ['pm_card_authenticationRequired', 'authentication_required'],
  ])('%s: declined, %s, and a later look at the intent shows the same', async (paymentMethod, declineCode) => {
    const gateway = connectTo((await startSimulator()).url)
    const asked = { ...parameters, paymentMethod }
    const id = await created(gateway, asked)
    const answer = await gateway.confirmIntent(id, asked, 'p1:confirm:1')
    expect(answer).toEqual({ kind: 'declined', declineCode, requestId: expect.stringMatching(/^req_/) })
    // The failed confirm has a charge, but no money.
    expect(intentIn(await gateway.retrieveIntent(id))).toMatchObject({
      status: 'requires_payment_method',
      chargeId: null,
      declineCode,
    })
  })

  it('rejected: parameters that the gateway does not accept', async () => {
    const gateway = connectTo((await startSimulator()).url)
    const rejected = {
      kind: 'rejected',
      status: 400,
      errorCode: 'resource_missing',
      about: 'payment-method',
      message: "No such PaymentMethod: 'pm_unknown'",
      requestId: expect.stringMatching(/^req_/),
    }
    const paymentMethod = 'pm_unknown'
    expect(await gateway.createIntent({ ...oldParameters, paymentMethod }, 'k')).toEqual(rejected)
    const id = await created(gateway)
    expect(await gateway.confirmIntent(id, { ...parameters, paymentMethod }, 'k2')).toEqual(rejected)
    expect(intentIn(await gateway.retrieveIntent(id))).toMatchObject({
      status: 'requires_payment_method',
      declineCode: null,
    })
    expect(await gateway.retrieveIntent('pi_none')).toMatchObject({
      kind: 'rejected',
      status: 404,
      errorCode: 'resource_missing',
    })
  })
})

describe('each fault leaves the outcome unknown, after one request', () => {
  it.each<[Omit<FaultRule, 'rate'>, Partial<Extract<GatewayAnswer, { kind: 'unknown' }>>, boolean]>([
    [{ on: 'confirm', kind: 'drop-after' }, { reason: 'connection', status: null, requestId: null }, true],
    [{ on: 'confirm', kind: 'drop-before' }, { reason: 'connection', status: null, requestId: null }, false],
    [{ on: 'confirm', kind: 'error-after' }, { reason: 'server-error', status: 500 }, true],
    [{ on: 'confirm', kind: 'error-before' }, { reason: 'server-error', status: 500 }, false],
    [{ on: 'confirm', kind: 'garbage', status: 200 }, { reason: 'unreadable', status: 200 }, true],
    [{ on: 'confirm', kind: 'garbage', status: 502 }, { reason: 'unreadable', status: 502 }, true],
    [{ on: 'confirm', kind: 'rate-limit' }, { reason: 'rate-limited', status: 429 }, false],
  ])('%o', async (fault, expected, hasCharged) => {
    const simulator = await startSimulator()
    const gateway = connectTo(simulator.url)
    const id = await created(gateway)
    simulator.setFault(fault)
    const answer = await gateway.confirmIntent(id, parameters, 'p1:confirm:1')
    expect(answer).toMatchObject({ kind: 'unknown', ...expected })
    if (expected.status !== null) expect(answer.requestId).toMatch(/^req_/)

    expect(simulator.arrived.slice(1)).toEqual(['POST /v1/payment_intents/:id/confirm'])
    expect(simulator.types().includes('charge.captured')).toBe(hasCharged)
    simulator.heal()
    expect(intentIn(await gateway.retrieveIntent(id))).toMatchObject({
      status: hasCharged ? 'succeeded' : 'requires_payment_method',
      declineCode: null,
    })
  })

  it.each(['delay', 'delay-before'] as const)('%s beyond the deadline', async (kind) => {
    const release = createLatch('the test is over')
    onTestFinished(() => release.open())
    const simulator = await startSimulator({
      sleep: async (delayMs) => {
        if (delayMs > 0) await release.wait()
      },
    })
    const gateway = connectTo(simulator.url, { deadlineMs: 200 })
    const id = await created(gateway)
    simulator.setFault({ on: 'confirm', kind, delayMs: 60_000 })
    expect(await gateway.confirmIntent(id, parameters, 'p1:confirm:1')).toEqual(unknownAnswer({ reason: 'deadline' }))
    expect(simulator.arrived).toHaveLength(2)
    expect(simulator.types()).toHaveLength(kind === 'delay' ? 2 : 1)
  })

  it('a decline of the simulated bank is a decline', async () => {
    const simulator = await startSimulator()
    const gateway = connectTo(simulator.url)
    const id = await created(gateway)
    simulator.setFault({ on: 'any', kind: 'decline' })
    expect(await gateway.confirmIntent(id, parameters, 'k')).toMatchObject({
      kind: 'declined',
      declineCode: 'generic_decline',
    })
  })
})

describe('refusals that prove nothing about the effect', () => {
  it('a key in use, and a key used for something else', async () => {
    const [arrived, go] = [createLatch('the first confirm arrived'), createLatch('the first confirm may go on')]
    let isHolding = false
    const simulator = await startSimulator({
      sleep: async () => {
        if (!isHolding) return
        arrived.open()
        await go.wait()
      },
    })
    const gateway = connectTo(simulator.url)
    const id = await created(gateway)
    isHolding = true
    const first = gateway.confirmIntent(id, parameters, 'p1:confirm:1')
    await arrived.wait()
    expect(await gateway.confirmIntent(id, parameters, 'p1:confirm:1')).toMatchObject({
      kind: 'unknown',
      reason: 'key-in-use',
      status: 409,
    })
    expect(await gateway.cancelIntent(id, 'p1:confirm:1', 'account')).toMatchObject({
      kind: 'unknown',
      reason: 'key-reused',
      status: 400,
    })
    go.open()
    expect(intentIn(await first).status).toBe('succeeded')
  })

  it('a wrong API key, which no answer shows', async () => {
    const simulator = await startSimulator()
    const wrongKey = 'sk_test_wrong_and_not_to_be_seen'
    const gateway = connectTo(simulator.url, { apiKey: wrongKey })
    const answer = await gateway.createIntent(parameters, 'k')
    expect(answer).toMatchObject({ kind: 'unknown', reason: 'unauthorized', status: 401 })
    expect(JSON.stringify(answer)).not.toContain('sk_test')
  })
})
