import type { Database, Tx } from '@seatbelt/database'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ClaimedRefund,
  createGatewayRefundLayer,
  type GatewayRefund,
  type ListAnswer,
  maxRefundRequests,
  type NoAnswer,
  type RefundAnswer,
  type RefundEvidence,
  type RefundGateway,
  type RefundParameters,
  type UnknownReason,
} from '../src/index.ts'

/** Layer 6 of refunds against every gateway that there could be: whatever it answers, these hold. */

const parameters: RefundParameters = {
  intentId: 'pi',
  amountMinor: 1_500,
  metadata: { refundId: 'refund', orderId: 'order', accountId: 'account' },
}

const statuses = ['pending', 'requires_action', 'succeeded', 'failed', 'canceled'] as const

const reasons: UnknownReason[] = [
  ...(['deadline', 'not-sent', 'connection', 'unreadable', 'key-in-use', 'key-reused'] as const),
  ...(['rate-limited', 'unauthorized'] as const),
]

const made = (overrides: Partial<GatewayRefund> = {}): GatewayRefund => ({
  ...{ id: 're', status: 'succeeded', amountMinor: 1_500, currency: 'EUR', intentId: 'pi', chargeId: 'ch' },
  ...{ failureReason: null, metadata: parameters.metadata, createdAt: new Date(0) },
  ...overrides,
})

/** Ours, mostly; otherwise one that names ours and differs, or another one of the same payment. */
const anyRefund: fc.Arbitrary<GatewayRefund> = fc.oneof(
  { arbitrary: fc.constantFrom(...statuses).map((status) => made({ status })), weight: 3 },
  fc.constantFrom(made({ amountMinor: 1 }), made({ intentId: 'pi_other' }), made({ currency: 'USD' })),
  fc.constant(made({ id: 're_other', metadata: { refundId: 'another' } })),
)

const serverError = (replayed: boolean): NoAnswer => {
  return { kind: 'unknown', reason: 'server-error', status: 500, replayed, requestId: 'req' }
}

const anyNoAnswer: fc.Arbitrary<NoAnswer> = fc.oneof(
  { arbitrary: fc.boolean().map(serverError), weight: 3 },
  fc.constant({ kind: 'declined' as const, declineCode: 'card_declined', requestId: 'req' }),
  {
    arbitrary: fc.constantFrom(400, 402, 404, 422).map((status) => {
      return { kind: 'rejected' as const, status, errorCode: `code_${status}`, requestId: 'req' }
    }),
    weight: 2,
  },
  fc.constantFrom(...reasons).map((reason) => {
    return { kind: 'unknown' as const, reason, status: null, replayed: false, requestId: null }
  }),
)

const anyAnswer: fc.Arbitrary<RefundAnswer> = fc.oneof(
  anyRefund.map((refund) => ({ kind: 'refund' as const, refund, requestId: 'req' })),
  { arbitrary: anyNoAnswer, weight: 2 },
)

const anyList: fc.Arbitrary<ListAnswer<GatewayRefund>> = fc.oneof(
  {
    arbitrary: fc
      .record({ items: fc.array(anyRefund, { maxLength: 2 }), hasMore: fc.constantFrom(false, false, true) })
      .map((list) => ({ kind: 'list' as const, ...list, requestId: 'req' })),
    weight: 2,
  },
  {
    arbitrary: fc.constant({ kind: 'list' as const, items: [], hasMore: false, requestId: 'req' }),
    weight: 3,
  },
  anyNoAnswer,
)

type Request =
  | { readonly name: 'post'; readonly key: string; readonly answer: RefundAnswer }
  | { readonly name: 'retrieve'; readonly answer: RefundAnswer }
  | { readonly name: 'list'; readonly answer: ListAnswer<GatewayRefund> }

interface Run {
  readonly evidence: RefundEvidence
  readonly requests: readonly Request[]
  /** After how many requests the number in the key was raised. */
  readonly raisedAfter: readonly number[]
}

interface World {
  readonly owner: { readonly isFirstOwner: boolean; readonly isStored: boolean; readonly keyIsRemembered: boolean }
  readonly answers: readonly RefundAnswer[]
  readonly lists: readonly ListAnswer<GatewayRefund>[]
  /** So many requests fit into the lease. */
  readonly leaseAllows: number
}

function claimedRefund(overrides: Partial<ClaimedRefund>): ClaimedRefund {
  return {
    ...{ id: 'refund', generation: 2, parameters, currency: 'EUR', gatewayRefundId: null, attempt: 3 },
    ...{ isFirstOwner: false, keyIsRemembered: true },
    ...overrides,
  }
}

const database = { statement: (work: (tx: Tx) => unknown) => work({} as Tx) } as unknown as Database

async function run({ owner: { isStored, ...owner }, answers, lists, leaseAllows }: World): Promise<Run> {
  const requests: Request[] = []
  const raisedAfter: number[] = []
  const late = { kind: 'unknown', reason: 'deadline', status: null, replayed: false, requestId: null } as const
  const note = <R extends Request>(request: R): Promise<R['answer']> => {
    requests.push(request)
    return Promise.resolve(request.answer)
  }
  const refundAnswer = () => answers[requests.filter(({ name }) => name !== 'list').length] ?? late
  const gateway: RefundGateway = {
    createRefund: (_, key) => note({ name: 'post', key, answer: refundAnswer() }),
    retrieveRefund: () => note({ name: 'retrieve', answer: refundAnswer() }),
    listRefundsOf: () =>
      note({ name: 'list', answer: lists[requests.filter(({ name }) => name === 'list').length] ?? late }),
  }
  const compareAndSet = {
    raiseRefundAttempt: () => Promise.resolve(raisedAfter.push(requests.length) > 0),
  }
  const layer = createGatewayRefundLayer({ gateway, database, compareAndSet })
  const claimed = claimedRefund({ ...owner, gatewayRefundId: isStored ? 're' : null })
  const evidence = await layer(claimed, { allowsRequest: () => requests.length < leaseAllows })
  return { evidence, requests, raisedAfter }
}

const anyWorld: fc.Arbitrary<World> = fc.record({
  owner: fc.constantFrom(
    { isFirstOwner: true, isStored: false, keyIsRemembered: true },
    { isFirstOwner: false, isStored: false, keyIsRemembered: true },
    { isFirstOwner: false, isStored: false, keyIsRemembered: true },
    { isFirstOwner: false, isStored: false, keyIsRemembered: false },
    { isFirstOwner: false, isStored: true, keyIsRemembered: true },
  ),
  answers: fc.array(anyAnswer, { minLength: maxRefundRequests, maxLength: maxRefundRequests }),
  lists: fc.array(anyList, { minLength: 2, maxLength: 2 }),
  leaseAllows: fc.constantFrom(0, 1, 2, 3, 99, 99, 99),
})

async function whatever(check: (world: World, ran: Run) => boolean | undefined): Promise<void> {
  let checked = 0
  const property = fc.asyncProperty(anyWorld, async (world) => {
    if (check(world, await run(world)) !== false) checked++
  })
  await fc.assert(property, { numRuns: 4_000 })
  expect(checked, 'the property was about something').toBeGreaterThan(50)
}

function showsAbsent(request: Request | undefined): boolean {
  return (
    request?.name === 'list' &&
    request.answer.kind === 'list' &&
    !request.answer.hasMore &&
    request.answer.items.every(({ metadata }) => metadata.refundId !== 'refund')
  )
}

const isReplayedFailure = (request: Request | undefined) =>
  request?.name === 'post' &&
  request.answer.kind === 'unknown' &&
  request.answer.reason === 'server-error' &&
  request.answer.replayed

const isRefusal = ({ answer }: Request) =>
  answer.kind === 'declined' || (answer.kind === 'rejected' && (answer.status === 400 || answer.status === 402))

function shown(requests: readonly Request[]): GatewayRefund[] {
  return requests.flatMap(({ answer }) => {
    if (answer.kind === 'refund') return [answer.refund]
    return answer.kind === 'list' ? [...answer.items] : []
  })
}

const isOurs = (refund: GatewayRefund) =>
  refund.metadata.refundId === 'refund' &&
  refund.amountMinor === 1_500 &&
  refund.currency === 'EUR' &&
  refund.intentId === 'pi'

describe('layer 6 of refunds, whatever the gateway answers', () => {
  it('says of a refund only what the gateway showed of it, in its amount and of its payment', () =>
    whatever((_, { evidence, requests }) => {
      if (evidence.kind !== 'outcome' || evidence.outcome.gatewayRefundId === null) return false
      const { state, gatewayRefundId } = evidence.outcome
      const stands = {
        succeeded: ['succeeded'],
        pending: ['pending', 'requires_action'],
        failed: ['failed', 'canceled'],
      }
      const seen = shown(requests).filter((refund) => isOurs(refund) && refund.id === gatewayRefundId)
      expect(seen.some(({ status }) => stands[state].includes(status))).toBe(true)
    }))

  it('calls a refund that the gateway does not show failed only if it was refused, and a whole list after that had none', () =>
    whatever((_, { evidence, requests }) => {
      if (evidence.kind !== 'outcome' || evidence.outcome.gatewayRefundId !== null) return false
      expect(evidence.outcome.state).toBe('failed')
      const refusedAt = requests.findIndex((request) => request.name === 'post' && isRefusal(request))
      expect(refusedAt).toBeGreaterThanOrEqual(0)
      expect(requests.slice(refusedAt + 1).some(showsAbsent)).toBe(true)
    }))

  it('looks before it asks, unless it is the first owner, and asks only where a whole list did not show it', () =>
    whatever(({ owner }, { requests }) => {
      const askedAt = requests.findIndex(({ name }) => name === 'post')
      if (askedAt < 0) return false
      if (owner.isFirstOwner) expect(askedAt).toBe(0)
      else expect(showsAbsent(requests[askedAt - 1])).toBe(true)
    }))

  it('never asks under a key that the gateway may have forgotten, nor for a refund whose id is known', () =>
    whatever(({ owner }, { requests, evidence }) => {
      if (owner.keyIsRemembered && !owner.isStored) return false
      expect(requests.some(({ name }) => name === 'post')).toBe(false)
      // And does not call it failed for that.
      expect(evidence.kind === 'outcome' && evidence.outcome.gatewayRefundId === null).toBe(false)
    }))

  it('keeps one key, and raises its number only after a repeated 5xx and a whole list without the refund', () =>
    whatever((_, { requests, raisedAfter }) => {
      for (const request of requests) if (request.name === 'post') expect(request.key).toBe('refund:refund:3')
      if (raisedAfter.length === 0) return false
      expect(raisedAfter).toEqual([requests.length])
      expect(showsAbsent(requests.at(-1))).toBe(true)
      expect(isReplayedFailure(requests.at(-2))).toBe(true)
    }))

  it('sends a bounded number of requests, and none without time in its lease', () =>
    whatever(({ leaseAllows }, { requests, evidence }) => {
      expect(requests.length).toBeLessThanOrEqual(Math.min(maxRefundRequests, leaseAllows))
      expect(evidence.trail.length).toBe(requests.length)
    }))
})

/**
 * A gateway that keeps its keys, as Stripe does for a day: the first execution of a key is recorded and repeated. Whatever
 * is lost, fails or comes late between it and several owners after each other, money goes back once.
 */
interface Passing {
  /** What befalls the posts of this passage, in their order. */
  readonly posts: readonly Mishap[]
  readonly listIsLost: boolean
  /** Are the requests that were stuck on the wire delivered before this passage begins? */
  readonly deliversStuck: boolean
}

interface Mishap {
  readonly on: 'none' | 'lost-answer' | 'stuck' | 'proxy-5xx'
  /** What the gateway does with a key that it does not know. */
  readonly does: 'refund' | 'fail-before' | 'fail-after' | 'refuse'
}

const anyMishap: fc.Arbitrary<Mishap> = fc.record({
  on: fc.constantFrom('none', 'none', 'lost-answer', 'stuck', 'proxy-5xx'),
  does: fc.constantFrom('refund', 'fail-before', 'fail-after', 'refuse'),
})

const anyPassages: fc.Arbitrary<Passing[]> = fc.array(
  fc.record({
    posts: fc.array(anyMishap, { minLength: 2, maxLength: 2 }),
    listIsLost: fc.constantFrom(false, false, false, true),
    deliversStuck: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
)

function rememberingGateway() {
  const recorded = new Map<string, RefundAnswer>()
  const refunds: GatewayRefund[] = []
  const stuck: (() => void)[] = []
  const execute = (key: string, does: Mishap['does']): RefundAnswer => {
    const known = recorded.get(key)
    if (known) return known.kind === 'unknown' ? { ...known, replayed: true } : known
    const refund = made({ id: `re_${refunds.length}` })
    if (does === 'refund' || does === 'fail-after') refunds.push(refund)
    const answer: RefundAnswer =
      does === 'refund'
        ? { kind: 'refund', refund, requestId: null }
        : does === 'refuse'
          ? { kind: 'rejected', status: 400, errorCode: 'charge_already_refunded', requestId: null }
          : serverError(false)
    recorded.set(key, answer)
    return answer
  }
  const lost = { kind: 'unknown', reason: 'connection', status: null, replayed: false, requestId: null } as const
  const post = (key: string, { on, does }: Mishap): RefundAnswer => {
    // What is stuck is delivered some time later, or never.
    if (on === 'stuck' || on === 'proxy-5xx') stuck.push(() => execute(key, does))
    if (on === 'stuck') return lost
    if (on === 'proxy-5xx') return serverError(false)
    const answer = execute(key, does)
    return on === 'lost-answer' ? lost : answer
  }
  const deliverStuck = () => {
    for (const deliver of stuck.splice(0)) deliver()
  }
  return { refunds, post, deliverStuck, lost }
}

describe('layer 6 of refunds, with a gateway that remembers its keys', () => {
  it('gives the money back once at most, and never once it was called failed, whatever is lost, late or failing', async () => {
    let [given, failed] = [0, 0]
    const property = fc.asyncProperty(anyPassages, async (passages) => {
      const gateway = rememberingGateway()
      let attempt = 1
      let evidence: RefundEvidence | undefined
      for (const [at, { posts, listIsLost, deliversStuck }] of passages.entries()) {
        if (deliversStuck) gateway.deliverStuck()
        const mishaps = [...posts]
        const port: RefundGateway = {
          createRefund: (_, key) =>
            Promise.resolve(gateway.post(key, mishaps.shift() ?? { on: 'none', does: 'refund' })),
          retrieveRefund: () => Promise.reject(new Error('nothing is stored')),
          listRefundsOf: () =>
            Promise.resolve(
              listIsLost
                ? gateway.lost
                : { kind: 'list', items: [...gateway.refunds], hasMore: false, requestId: null },
            ),
        }
        const compareAndSet = {
          raiseRefundAttempt: () => {
            attempt++
            return Promise.resolve(true)
          },
        }
        const layer = createGatewayRefundLayer({ gateway: port, database, compareAndSet })
        evidence = await layer(claimedRefund({ attempt, isFirstOwner: at === 0 }), { allowsRequest: () => true })
        if (evidence.kind === 'outcome') break
      }
      gateway.deliverStuck()
      expect(gateway.refunds.length).toBeLessThanOrEqual(1)
      if (evidence?.kind !== 'outcome') return
      if (evidence.outcome.state === 'failed') failed++
      else given++
      expect(gateway.refunds.length).toBe(evidence.outcome.state === 'failed' ? 0 : 1)
    })
    await fc.assert(property, { numRuns: 5_000 })
    expect(Math.min(given, failed), 'both ends were reached').toBeGreaterThan(200)
  })
})
