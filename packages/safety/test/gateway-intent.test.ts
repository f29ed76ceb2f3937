import type { Database, Tx } from '@seatbelt/database'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ClaimedPayment,
  type CompareAndSet,
  compareAndSet,
  createGatewayIntentLayer,
  type Evidence,
  type Gateway,
  type GatewayAnswer,
  type GatewayIntent,
  type IntentParameters,
  maxGatewayRequests,
  type UnknownReason,
} from '../src/index.ts'

/** Layer 6 against every gateway that there could be: whatever it answers, these hold. */

const parameters: IntentParameters = {
  ...{ amountMinor: 4_200, currency: 'EUR', paymentMethod: 'pm' },
  metadata: { paymentId: 'payment', orderId: 'order', accountId: 'account' },
}

const statuses = [
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
  'processing',
  'requires_capture',
  'succeeded',
  'canceled',
] as const

const reasons: UnknownReason[] = [
  'deadline',
  'not-sent',
  'connection',
  'server-error',
  'unreadable',
  'key-in-use',
  'key-reused',
  'rate-limited',
  'unauthorized',
]

const intent = (overrides: Partial<GatewayIntent>): GatewayIntent => ({
  ...{ id: 'pi', status: 'requires_confirmation', amountMinor: 4_200, currency: 'EUR', chargeId: null },
  ...{ declineCode: null, metadata: parameters.metadata },
  ...overrides,
})

const anyIntent = fc
  .record({
    status: fc.constantFrom(...statuses),
    declineCode: fc.constantFrom(null, 'insufficient_funds'),
    amountMinor: fc.constantFrom(4_200, 4_200, 4_200, 1),
    hasCharge: fc.constantFrom(true, true, false),
  })
  .map(({ hasCharge, ...rest }) =>
    intent({ ...rest, chargeId: rest.status === 'succeeded' && hasCharge ? 'ch' : null }),
  )

/** Half of all answers are those of a day without trouble, so that runs get far enough to go wrong at each step. */
const usualIntent = fc
  .constantFrom('requires_confirmation' as const, 'succeeded' as const, 'canceled' as const)
  .map((status) => intent({ status, chargeId: status === 'succeeded' ? 'ch' : null }))

const anyAnswer: fc.Arbitrary<GatewayAnswer> = fc.oneof(
  { arbitrary: usualIntent.map((it) => ({ kind: 'intent' as const, intent: it, requestId: 'req' })), weight: 4 },
  anyIntent.map((it) => ({ kind: 'intent' as const, intent: it, requestId: 'req' })),
  fc.constant({ kind: 'declined' as const, declineCode: 'card_declined', requestId: 'req' }),
  fc.constant({ kind: 'rejected' as const, status: 400, errorCode: 'unexpected_state', requestId: 'req' }),
  fc.constantFrom(...reasons).map((reason) => ({ kind: 'unknown' as const, reason, status: null, requestId: null })),
)

const anyPayment = fc
  .record({
    generation: fc.constantFrom(1, 2),
    isStored: fc.boolean(),
    wanted: fc.boolean(),
    declineCode: fc.constantFrom(null, 'insufficient_funds'),
  })
  .filter(({ generation, isStored, wanted, declineCode }) =>
    generation === 1 ? wanted && !isStored && declineCode === null : declineCode === null || isStored,
  )

interface Request {
  readonly name: 'create' | 'confirm' | 'cancel' | 'retrieve'
  readonly key: string | null
  readonly answer: GatewayAnswer
}

interface Run {
  readonly evidence: Evidence
  readonly requests: readonly Request[]
  readonly stored: string | null
  readonly notedDecline: string | null
  readonly raised: readonly string[]
}

interface World {
  readonly payment: {
    readonly generation: number
    readonly isStored: boolean
    readonly wanted: boolean
    readonly declineCode: string | null
  }
  readonly answers: readonly GatewayAnswer[]
  /** After so many writes another owner has taken over. */
  readonly deposedAfter: number
  /** So many requests fit into the lease. */
  readonly leaseAllows: number
}

async function run({ payment, answers, deposedAfter, leaseAllows }: World): Promise<Run> {
  const requests: Request[] = []
  const raised: string[] = []
  let stored = payment.isStored ? 'pi' : null
  let notedDecline: string | null = null
  let writes = 0
  const write = (effect: () => void) => {
    if (writes++ >= deposedAfter) return Promise.resolve(false)
    effect()
    return Promise.resolve(true)
  }
  const memory: CompareAndSet = {
    ...compareAndSet,
    storeIntent: (_, __, id) =>
      write(() => {
        stored = id
      }),
    noteDecline: (_, __, code) =>
      write(() => {
        notedDecline = code
      }),
    raiseAttempt: (_, __, request) => write(() => raised.push(request)),
  }
  const answer = (name: Request['name'], key: string | null) => {
    const next =
      answers[requests.length] ?? ({ kind: 'unknown', reason: 'deadline', status: null, requestId: null } as const)
    requests.push({ name, key, answer: next })
    return Promise.resolve(next)
  }
  const gateway: Gateway = {
    createIntent: (_, key) => answer('create', key),
    confirmIntent: (id, key) => {
      expect(id, 'only the stored intent is confirmed').toBe(stored)
      return answer('confirm', key)
    },
    cancelIntent: (_, key) => answer('cancel', key),
    retrieveIntent: () => answer('retrieve', null),
  }
  const claimed: ClaimedPayment = {
    ...{ id: 'payment', generation: payment.generation, gatewayIntentId: stored, intentParameters: parameters },
    ...{ attempts: { create: 1, confirm: 2, cancel: 3 }, declineCode: payment.declineCode, wanted: payment.wanted },
  }
  const database = { statement: (work: (tx: Tx) => unknown) => work({} as Tx) } as unknown as Database
  const layer = createGatewayIntentLayer({ gateway, database, compareAndSet: memory, by: 'test' })
  const evidence = await layer(claimed, { allowsRequest: () => requests.length < leaseAllows })
  return { evidence, requests, stored, notedDecline, raised }
}

const anyWorld: fc.Arbitrary<World> = fc.record({
  payment: anyPayment,
  answers: fc.array(anyAnswer, { minLength: maxGatewayRequests, maxLength: maxGatewayRequests }),
  deposedAfter: fc.constantFrom(0, 1, 2, 99, 99),
  leaseAllows: fc.constantFrom(0, 1, 2, 3, 99, 99),
})

const showed = (requests: readonly Request[], status: GatewayIntent['status']) =>
  requests.some(({ answer }) => answer.kind === 'intent' && answer.intent.status === status)

describe('layer 6, whatever the gateway answers', () => {
  it('calls a payment declined or cancelled only when its intent was seen cancelled, or none was ever stored', async () => {
    let checked = 0
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { evidence, requests, stored } = await run(world)
        if (evidence.kind !== 'outcome' || evidence.outcome.state === 'succeeded') return
        checked++
        if (evidence.fenced) expect(showed(requests, 'canceled')).toBe(true)
        else expect(stored).toBeNull()
      }),
      { numRuns: 3_000 },
    )
    expect(checked).toBeGreaterThan(100)
  })

  it('calls a payment succeeded only when its intent was seen succeeded, with its amount and its charge', async () => {
    let checked = 0
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { evidence, requests } = await run(world)
        if (evidence.kind !== 'outcome' || evidence.outcome.state !== 'succeeded') return
        checked++
        expect(
          requests.some(
            ({ answer }) =>
              answer.kind === 'intent' &&
              answer.intent.status === 'succeeded' &&
              answer.intent.amountMinor === 4_200 &&
              answer.intent.chargeId === 'ch',
          ),
        ).toBe(true)
      }),
      { numRuns: 3_000 },
    )
    expect(checked).toBeGreaterThan(100)
  })

  it('sends a bounded number of requests, none without time in its lease, and no confirm when the money is not wanted', async () => {
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { requests } = await run(world)
        expect(requests.length).toBeLessThanOrEqual(Math.min(maxGatewayRequests, world.leaseAllows))
        const confirms = requests.filter(({ name }) => name === 'confirm')
        expect(confirms.length).toBeLessThanOrEqual(world.payment.wanted ? 1 : 0)
      }),
      { numRuns: 2_000 },
    )
  })

  it('looks before it asks, unless it is the first owner', async () => {
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { requests } = await run(world)
        const first = requests[0]?.name
        if (!first) return
        if (world.payment.isStored) expect(first).toBe('retrieve')
        else expect(first).toBe('create')
      }),
      { numRuns: 1_000 },
    )
  })

  it('never throws away a decline: it is noted before the cancel that makes the gateway forget it', async () => {
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { requests, notedDecline } = await run(world)
        const cancelAt = requests.findIndex(({ name }) => name === 'cancel')
        const wasDeclined = requests.slice(0, cancelAt).some(({ answer }) => answer.kind === 'declined')
        if (cancelAt > 0 && wasDeclined) expect(notedDecline).not.toBeNull()
      }),
      { numRuns: 2_000 },
    )
  })

  it('keeps one key for one kind of request until the gateway has ended it without effect', async () => {
    await fc.assert(
      fc.asyncProperty(anyWorld, async (world) => {
        const { requests, raised } = await run(world)
        for (const { name, key } of requests)
          if (key !== null)
            expect(key).toBe(`payment:${name}:${{ create: 1, confirm: 2, cancel: 3, retrieve: 0 }[name]}`)
        for (const request of raised) {
          const asked = requests.find(({ name }) => name === request)
          expect(asked?.answer.kind === 'unknown' ? asked.answer.reason : 'ended').toMatch(
            /^(server-error|key-reused|ended)$/,
          )
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
