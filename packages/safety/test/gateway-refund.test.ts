import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  GatewayRefund,
  ListAnswer,
  NoAnswer,
  RefundAnswer,
  RefundGateway,
  RefundParameters,
  UnknownReason,
} from '../src/gateway-protocol/gateway.ts'
import {
  createGatewayRefundLayer,
  createMissingRefundLayer,
  maxRefundRequests,
  type RefundAttempt,
  type RefundEvidence,
} from '../src/gateway-protocol/gateway-refund.ts'
import { missingRefundTransitions, refundTransitions } from '../src/gateway-protocol/refund-transitions.ts'
import { expectSoundTable } from './sound-table.ts'

/** Layer 6 of refunds against every possible gateway: these claims hold for all of its answers. */

const parameters: RefundParameters = {
  intentId: 'pi',
  amountMinor: 1_500,
  metadata: { refundId: 'refund', orderId: 'order', accountId: 'account' },
}

const statuses = ['pending', 'requires_action', 'succeeded', 'failed', 'canceled'] as const

const reasons: UnknownReason[] = [
  'deadline',
  'not-sent',
  'connection',
  'unreadable',
  'key-in-use',
  'key-reused',
  'rate-limited',
  'unauthorized',
  'forbidden',
]

const made = (overrides: Partial<GatewayRefund> = {}): GatewayRefund => ({
  id: 're',
  status: 'succeeded',
  amountMinor: 1_500,
  currency: 'EUR',
  intentId: 'pi',
  chargeId: 'ch',
  failureReason: null,
  metadata: parameters.metadata,
  createdAt: new Date(0),
  ...overrides,
})

/** Mostly ours. Otherwise a refund that names ours and differs, or another refund of the same payment. */
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
      const refusal = { status, errorCode: `code_${status}`, about: 'request' as const, message: null }
      return { kind: 'rejected' as const, requestId: 'req', ...refusal }
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
  /** After how many requests the next key was taken into use. */
  readonly nextKeyAfter: readonly number[]
  /** After how many requests it paused. */
  readonly pausedAfter: readonly number[]
}

interface World {
  readonly owner: { readonly isFirstOwner: boolean; readonly isStored: boolean; readonly keyIsRemembered: boolean }
  readonly answers: readonly RefundAnswer[]
  readonly lists: readonly ListAnswer<GatewayRefund>[]
  /** So many requests fit into the lease. */
  readonly leaseAllows: number
  /** Another owner takes over before the next key is taken into use. */
  readonly isDeposed: boolean
}

function attemptOf(overrides: Partial<RefundAttempt>): RefundAttempt {
  return {
    id: 'refund',
    generation: 2,
    owner: 'owner',
    lease: { allowsRequest: () => true },
    parameters,
    currency: 'EUR',
    gatewayRefundId: null,
    gatewayKey: 'refund',
    keyNumber: 3,
    isFirstOwner: false,
    keyIsRemembered: true,
    isMadeElsewhere: false,
    ...overrides,
  }
}

const runtime = { monotonicMs: () => 1, pause: async () => undefined }

async function run({ owner, answers, lists, leaseAllows, isDeposed }: World): Promise<Run> {
  const requests: Request[] = []
  const nextKeyAfter: number[] = []
  const pausedAfter: number[] = []
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
  const store = {
    useNextKey: async () => {
      nextKeyAfter.push(requests.length)
      return !isDeposed
    },
  }
  const pause = async () => void pausedAfter.push(requests.length)
  const layer = createGatewayRefundLayer({ gateway, store, runtime: { ...runtime, pause } })
  const { isStored, isFirstOwner, keyIsRemembered } = owner
  const gatewayRefundId = isStored ? 're' : null
  const lease = { allowsRequest: () => requests.length < leaseAllows }
  const evidence = await layer(attemptOf({ isFirstOwner, keyIsRemembered, gatewayRefundId, lease }))
  return { evidence, requests, nextKeyAfter, pausedAfter }
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
  lists: fc.array(anyList, { minLength: 3, maxLength: 3 }),
  leaseAllows: fc.constantFrom(0, 1, 2, 3, 99, 99, 99),
  isDeposed: fc.boolean(),
})

async function always(check: (world: World, ran: Run) => boolean | undefined): Promise<void> {
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

describe('layer 6 of refunds, for all answers of the gateway', () => {
  it('reports only what the gateway showed of a refund of this amount and payment', () =>
    always((_, { evidence, requests }) => {
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

  it('calls a refund that is not shown failed only if it was refused, and then absent from two lists', () =>
    always((_, { evidence, requests, pausedAfter }) => {
      if (evidence.kind !== 'outcome' || evidence.outcome.gatewayRefundId !== null) return false
      expect(evidence.outcome.state).toBe('failed')
      const refusedAt = requests.findIndex((request) => request.name === 'post' && isRefusal(request))
      expect(refusedAt).toBeGreaterThanOrEqual(0)
      expect(requests.slice(refusedAt + 1).map(showsAbsent)).toEqual([true, true])
      expect(pausedAfter).toEqual([refusedAt + 2])
    }))

  it('looks before it asks, unless its owner is the first, and asks only if a whole list lacks the refund', () =>
    always(({ owner }, { requests }) => {
      const askedAt = requests.findIndex(({ name }) => name === 'post')
      if (askedAt < 0) return false
      if (owner.isFirstOwner) expect(askedAt).toBe(0)
      else expect(showsAbsent(requests[askedAt - 1])).toBe(true)
    }))

  it('never asks under a key that the gateway may have forgotten, nor for a refund whose id is known', () =>
    always(({ owner }, { requests, evidence }) => {
      if (owner.keyIsRemembered && !owner.isStored) return false
      expect(requests.some(({ name }) => name === 'post')).toBe(false)
      // That alone is no reason to call it failed.
      expect(evidence.kind === 'outcome' && evidence.outcome.gatewayRefundId === null).toBe(false)
    }))

  it('keeps one key, and uses the next only after a repeated 5xx and a whole list without the refund', () =>
    always(({ isDeposed }, { requests, nextKeyAfter, evidence }) => {
      for (const request of requests) if (request.name === 'post') expect(request.key).toBe('refund:refund:3')
      if (nextKeyAfter.length === 0) return false
      expect(nextKeyAfter).toEqual([requests.length])
      expect(showsAbsent(requests.at(-1))).toBe(true)
      expect(isReplayedFailure(requests.at(-2))).toBe(true)
      const reason = isDeposed ? 'another owner took over' : 'server-error (500)'
      expect(evidence).toMatchObject({ kind: 'unknown', reason, readable: !isDeposed })
    }))

  it('sends a bounded number of requests, and none for which the lease has no time', () =>
    always(({ leaseAllows }, { requests, evidence }) => {
      expect(requests.length).toBeLessThanOrEqual(Math.min(maxRefundRequests, leaseAllows))
      expect(evidence.requestLog.length).toBe(requests.length)
    }))
})

it('believes no refusal of a refund that the second look shows: a proxy refused what it had forwarded', async () => {
  const refusal = { status: 400, errorCode: 'code_400', about: 'request' as const, message: null }
  const lists = [[], [made()]]
  const gateway = {
    createRefund: async () => ({ kind: 'rejected' as const, requestId: 'req', ...refusal }),
    retrieveRefund: () => Promise.reject(new Error('its id is not known')),
    listRefundsOf: async () => ({
      kind: 'list' as const,
      items: lists.shift() ?? [],
      hasMore: false,
      requestId: 'req',
    }),
  }
  const store = { useNextKey: () => Promise.reject(new Error('the key stays')) }
  const layer = createGatewayRefundLayer({ gateway, store, runtime })
  expect(await layer(attemptOf({ isFirstOwner: true }))).toMatchObject({ outcome: { state: 'succeeded' } })
})

describe('an operator who believes that a refund was never made', () => {
  async function review(list: ListAnswer<GatewayRefund>, refund: Partial<RefundAttempt> = {}) {
    const gateway = {
      listRefundsOf: async () => list,
      retrieveRefund: async () => ({ kind: 'refund', refund: made({ status: 'pending' }), requestId: null }),
    } as unknown as RefundGateway
    const store = { useNextKey: () => Promise.reject(new Error('the operator writes nothing')) }
    const { requestLog, ...evidence } = await createMissingRefundLayer(
      { gateway, store, runtime },
      'the command',
    )(attemptOf(refund))
    expect(requestLog.map(({ event }) => event)).toEqual(['refund-look', 'operator'])
    expect(requestLog[1]?.detail).toBe('the command')
    return evidence
  }
  const list = (items: readonly GatewayRefund[], hasMore = false): ListAnswer<GatewayRefund> => {
    return { kind: 'list', items, hasMore, requestId: null }
  }

  it.each([true, false])(
    'fails it if the whole list does not have it (key remembered: %s)',
    async (keyIsRemembered) => {
      const outcome = { state: 'failed', failureCode: 'given-up', gatewayRefundId: null }
      expect(await review(list([]), { keyIsRemembered })).toEqual({ kind: 'outcome', outcome, elsewhere: [] })
    },
  )

  it('accepts a refund that is there, and the foremost of two', async () => {
    const two = list([made({ id: 're_1', status: 'failed' }), made({ id: 're_2' })])
    expect(await review(two)).toMatchObject({ outcome: { state: 'succeeded', gatewayRefundId: 're_2' } })
    expect(await review(list([]), { gatewayRefundId: 're' })).toMatchObject({ outcome: { state: 'pending' } })
  })

  it('fails it if its name is on another refund only, and accepts it where both are there', async () => {
    const other = made({ id: 're_1', amountMinor: made().amountMinor - 1 })
    const outcome = { state: 'failed', failureCode: 'key-reused', gatewayRefundId: null }
    expect(await review(list([other]))).toMatchObject({ kind: 'outcome', outcome })
    expect(await review(list([other], true))).toMatchObject({ kind: 'unknown' })
    expect(await review(list([other, made({ id: 're_2' })]))).toMatchObject({ outcome: { gatewayRefundId: 're_2' } })
  })

  it('leaves it if the list has more pages or is not answered', async () => {
    expect(await review(list([], true))).toMatchObject({ reason: 'there are more refunds than one page shows' })
    expect(await review(serverError(false))).toMatchObject({ kind: 'unknown', reason: 'server-error (500)' })
  })
})

describe('a refund that was made at the gateway without us', () => {
  const elsewhere = made({ id: 're_console', amountMinor: 900, metadata: {} })
  const refused: NoAnswer = {
    kind: 'rejected',
    status: 400,
    errorCode: 'charge_already_refunded',
    about: 'state',
    message: null,
    requestId: null,
  }
  const list: ListAnswer<GatewayRefund> = { kind: 'list', items: [elsewhere], hasMore: false, requestId: null }
  const unused = () => Promise.reject(new Error('the test does not expect this request'))
  const store = { useNextKey: unused }

  it('is carried by the evidence of a refund of ours that was refused', async () => {
    const gateway = { createRefund: async () => refused, listRefundsOf: async () => list, retrieveRefund: unused }
    const attempt = attemptOf({ isFirstOwner: true })
    expect(await createGatewayRefundLayer({ gateway, store, runtime })(attempt)).toMatchObject({
      outcome: { state: 'failed', failureCode: 'charge_already_refunded', gatewayRefundId: null },
      elsewhere: [elsewhere],
    })
  })

  it('is carried by the evidence of a refund of ours that was made after the look', async () => {
    const answer: RefundAnswer = { kind: 'refund', refund: made(), requestId: null }
    const gateway = { createRefund: async () => answer, listRefundsOf: async () => list, retrieveRefund: unused }
    expect(await createGatewayRefundLayer({ gateway, store, runtime })(attemptOf({}))).toMatchObject({
      outcome: { state: 'succeeded' },
      elsewhere: [elsewhere],
    })
  })

  it('is not taken for a refund of another intent', async () => {
    const other: ListAnswer<GatewayRefund> = { ...list, items: [{ ...elsewhere, intentId: 'pi_other' }] }
    const gateway = { createRefund: async () => refused, listRefundsOf: async () => other, retrieveRefund: unused }
    const attempt = attemptOf({ isFirstOwner: true })
    expect(await createGatewayRefundLayer({ gateway, store, runtime })(attempt)).toMatchObject({ elsewhere: [] })
  })

  it('is looked at by its id, and never requested', async () => {
    const shown: RefundAnswer = { kind: 'refund', refund: elsewhere, requestId: null }
    const gateway = { createRefund: unused, listRefundsOf: unused, retrieveRefund: async () => shown }
    const attempt = attemptOf({
      gatewayRefundId: 're_console',
      isMadeElsewhere: true,
      parameters: { ...parameters, amountMinor: 900 },
    })
    expect(await createGatewayRefundLayer({ gateway, store, runtime })(attempt)).toMatchObject({
      outcome: { state: 'succeeded', gatewayRefundId: 're_console' },
    })
  })
})

describe('the table of refunds', () => {
  it('has no word that is misspelled, and no row that never decides', () => {
    expectSoundTable(refundTransitions)
    expectSoundTable(missingRefundTransitions)
  })
})

/**
 * A gateway that keeps its keys, as Stripe does for a day: it records the first execution of a key and repeats it.
 * Requests between it and several owners can be lost, fail or be delayed. The money is refunded once.
 */
interface OwnersRun {
  /** What happens to the posts of this owner, in their order. */
  readonly posts: readonly Mishap[]
  readonly listIsLost: boolean
  /** The requests that were stuck on the wire are delivered before this owner begins. */
  readonly deliversStuck: boolean
}

interface Mishap {
  readonly on: 'none' | 'lost-answer' | 'stuck' | 'proxy-5xx'
  /** How the gateway executes a key that it does not know. */
  readonly does: 'refund' | 'fail-before' | 'fail-after' | 'refuse'
}

const anyMishap: fc.Arbitrary<Mishap> = fc.record({
  on: fc.constantFrom('none', 'none', 'lost-answer', 'stuck', 'proxy-5xx'),
  does: fc.constantFrom('refund', 'fail-before', 'fail-after', 'refuse'),
})

const anyOwners: fc.Arbitrary<OwnersRun[]> = fc.array(
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
          ? {
              kind: 'rejected',
              status: 400,
              errorCode: 'charge_already_refunded',
              about: 'state',
              message: null,
              requestId: null,
            }
          : serverError(false)
    recorded.set(key, answer)
    return answer
  }
  const lost = { kind: 'unknown', reason: 'connection', status: null, replayed: false, requestId: null } as const
  const post = (key: string, { on, does }: Mishap): RefundAnswer => {
    // A stuck request is delivered some time later, or never.
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
  it('refunds once at most, and never after the refund was called failed', async () => {
    let [refunded, failed] = [0, 0]
    const property = fc.asyncProperty(anyOwners, async (owners) => {
      const gateway = rememberingGateway()
      let keyNumber = 1
      let evidence: RefundEvidence | undefined
      for (const [at, { posts, listIsLost, deliversStuck }] of owners.entries()) {
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
        const store = {
          useNextKey: async () => {
            keyNumber++
            return true
          },
        }
        const layer = createGatewayRefundLayer({ gateway: port, store, runtime })
        evidence = await layer(attemptOf({ keyNumber, isFirstOwner: at === 0 }))
        if (evidence.kind === 'outcome') break
      }
      gateway.deliverStuck()
      expect(gateway.refunds.length).toBeLessThanOrEqual(1)
      if (evidence?.kind !== 'outcome') return
      if (evidence.outcome.state === 'failed') failed++
      else refunded++
      expect(gateway.refunds.length).toBe(evidence.outcome.state === 'failed' ? 0 : 1)
    })
    await fc.assert(property, { numRuns: 5_000 })
    expect(Math.min(refunded, failed), 'both ends were reached').toBeGreaterThan(200)
  })
})
