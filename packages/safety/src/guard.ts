import type { Database, RollBack, Tx } from '@seatbelt/database'
import type { Refusal } from '@seatbelt/domain'
import type { AdvisoryLockLayer } from './advisory-lock.ts'
import type { Admit, GatewayAdmission, NotAdmitted } from './gateway-protocol/gateway-gate.ts'
import type { Call, IdempotencyKeyLayer, Intent, KeySeen, RecordedAnswer } from './idempotency-key.ts'
import type { Contended, RedisLockLayer } from './redis-lock.ts'
import { isContention, throughOutage } from './retry-while-unavailable.ts'

/**
 * THE ORDER OF THE LAYERS. This file is the one place where it can be seen, and the nesting is the order.
 *
 *   0 cheap door        (holds of seats alone) is somebody else taking, or having, the seat? It costs no connection.
 *   1 idempotency key   was this very request answered before?
 *   2   Redis lock      is somebody at this resource now? (a hint that saves transactions)
 *         gate          does the gateway answer, and is there a place to wait for it? (else nothing is claimed)
 *         transaction
 *   3       advisory lock   one decider at a time
 *   4         claim: read, decide, compare-and-set,
 *   5         insert the intent once,
 *   1         bind the key to it (or find that it was taken while we waited for the locks)
 *         COMMIT            from here on the intent survives any crash
 *   6     effect: the gateway, with no transaction open
 *         transaction
 *   3       advisory lock
 *   4, 5      settle: the outcome, its bookings
 *   1         and the answer for the key
 *         COMMIT            or, where one effect leads to the next (authorized, so capture), its claim: then 6 again
 *
 * Only what is nested inside a transaction is given its `tx`, so that the compiler keeps the effect out of it.
 */

/** The layers that are brackets. Those that are statements (4, 5, 6) are handed to the operations that use them. */
export interface Layers {
  readonly idempotencyKey: IdempotencyKeyLayer
  readonly redisLock: RedisLockLayer
  /** Inside the Redis lock, so that the copies of one payment do not take the places of others. */
  readonly gatewayGate: GatewayAdmission
  readonly advisoryLock: AdvisoryLockLayer
  readonly transaction: Database['transaction']
  /** Told of every fault after a commit, which the caller is answered without, and of the resource that it concerns. */
  readonly reportFault: (fault: unknown, resource: string) => void
}

export interface Answered {
  readonly kind: 'answered'
  readonly answer: RecordedAnswer
  readonly replayed: boolean
}

export type Guarded<Unsettled> =
  | Answered
  | { readonly kind: 'unsettled'; readonly subject: Unsettled }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** Ends a claim without its writes, because the key turned out to be bound to something else. */
export interface KeyTaken {
  readonly kind: 'key-taken'
}

export type Refused = { readonly kind: 'refused'; readonly refusal: Refusal }

/** Where those meet who decide about one thing. */
export interface MeetingPoint {
  readonly resource: string
  /** What a caller hears who meets another one at the resource. */
  readonly contended: Refusal
}

export interface Effectful<Claimed, Evidence, Unsettled> {
  /**
   * Decides and writes the intent and the key's row, or refuses and writes nothing. `answered`: it turned out that nothing has to
   * be asked for, and the key is bound to that answer.
   */
  readonly claim: (
    tx: Tx,
    rollBack: RollBack<KeyTaken | Contended>,
  ) => Promise<{ readonly kind: 'claimed'; readonly claimed: Claimed } | Answered | Refused>
  readonly effect: (claimed: Claimed) => Promise<Evidence>
  /** `continues`: it claimed a next effect in the same commit, which is this owner's too. */
  readonly settle: (tx: Tx, claimed: Claimed, evidence: Evidence) => Promise<Guarded<Unsettled> | Continues<Claimed>>
  /** Where those meet who settle, if it is not where the claim was decided: the claim made what they meet at. */
  readonly settleAt?: (claimed: Claimed) => string
  /** What can be said of an intent whose outcome this process could not learn or write down. */
  readonly unsettled: (claimed: Claimed) => Unsettled
}

export interface Continues<Claimed> {
  readonly kind: 'continues'
  readonly claimed: Claimed
}

export interface ByKey<Unsettled> {
  /** A function where it must be looked up, or may be refused: it is asked only for a key that was not seen before. */
  readonly meetAt: MeetingPoint | (() => Promise<MeetingPoint | Refused>)
  /** The key is bound to an intent that has no answer yet. */
  readonly resume: (intent: Intent) => Promise<Guarded<Unsettled>>
}

/**
 * An operation with an effect outside of the database.
 *
 * Guarantees: after a claim was committed, the caller hears the outcome or `unsettled`, whatever fails; before it, a
 * refusal or a fault, and nothing was changed. The one exception is a claim whose COMMIT got no answer: that fault says so.
 * A retry whose key is known to be taken never hears that nothing happened, even where the database is gone by then.
 */
export async function guardEffect<Claimed, Evidence, Unsettled>(
  layers: Layers,
  call: Call,
  steps: Effectful<Claimed, Evidence, Unsettled> & ByKey<Unsettled>,
): Promise<Guarded<Unsettled>> {
  return judgeKey(layers, call, steps, ({ resource }) =>
    claimEffectSettle(layers, layers.gatewayGate.forRequests, { ...steps, resource }, async (tx, rollBack) =>
      unlessKeyTaken(layers, call, tx, await steps.claim(tx, rollBack)),
    ),
  )
}

/**
 * An effect that no client asked for: a period that fell due, a repair. Layer 1 has nothing to do; what it guards against is
 * kept out by layers 4 and 5 alone, so the claim must compare or insert something that can happen once.
 */
export async function guardOwnEffect<Claimed, Evidence, Unsettled>(
  layers: Layers,
  steps: Effectful<Claimed, Evidence, Unsettled> & MeetingPoint,
): Promise<Guarded<Unsettled>> {
  const result = await contendedWhenLocked(() =>
    claimEffectSettle(layers, layers.gatewayGate.forRecovery, steps, steps.claim),
  )
  // Nobody takes a key that is not there.
  if (result.kind === 'contended' || result.kind === 'key-taken') return { kind: 'refused', refusal: steps.contended }
  return result.kind === 'not-admitted' ? refusedForNow(result) : result
}

async function claimEffectSettle<Claimed, Evidence, Unsettled>(
  layers: Layers,
  admit: Admit,
  steps: Effectful<Claimed, Evidence, Unsettled> & Pick<MeetingPoint, 'resource'>,
  decide: (tx: Tx, rollBack: RollBack<KeyTaken | Contended>) => Promise<Claim<Claimed>>,
): Promise<Guarded<Unsettled> | KeyTaken | Contended | NotAdmitted> {
  const { resource } = steps
  return layers.redisLock(resource, () =>
    admit(async () => {
      const claim = await layers.transaction<Claim<Claimed>, KeyTaken | Contended>((tx, rollBack) =>
        layers.advisoryLock(tx, resource, () => decide(tx, rollBack)),
      )
      if (claim.kind !== 'claimed') return claim

      const settleAt = steps.settleAt?.(claim.claimed) ?? resource
      return afterCommit(layers, settleAt, steps.unsettled(claim.claimed), () =>
        effectSettle(layers, settleAt, steps, claim.claimed),
      )
    }),
  )
}

/** No operation has more: one is authorized, and then captured or voided. */
const mostEffects = 2

/** What an owner does between its claim and the end, whether it claimed first or took over. */
export async function effectSettle<Claimed, Evidence, Unsettled>(
  layers: Layers,
  resource: string,
  { effect, settle }: Pick<Effectful<Claimed, Evidence, Unsettled>, 'effect' | 'settle'>,
  claimed: Claimed,
): Promise<Guarded<Unsettled>> {
  let owned = claimed
  for (let effects = 1; ; effects += 1) {
    const evidence = await effect(owned)
    const result = await guardSettle(layers, resource, (tx) => settle(tx, owned, evidence))
    if (result.kind !== 'continues') return result
    if (effects === mostEffects) throw new Error('an effect led to one more than there are')
    owned = result.claimed
  }
}

/** The gateway is away or busy, and nothing was claimed. */
function refusedForNow({ retryAfterSeconds }: NotAdmitted): Refused {
  return { kind: 'refused', refusal: { code: 'temporarily-unavailable', retryAfterSeconds } }
}

/**
 * Asked before anything else, for what can be known to be in vain without a connection to the database. It runs the work, or
 * refuses.
 */
export type CheapDoor = (call: Call, work: () => Promise<Guarded<never>>) => Promise<Guarded<never>>

export interface Transactional {
  readonly door?: CheapDoor
  /** Null where nothing exists yet that two requests could meet at, or where `work` locks the row that it decides about. */
  readonly resource: string | null
  readonly contended: Refusal
  /** Decides and writes, or refuses and writes nothing: what is refused after a write is rolled back. */
  readonly work: (
    tx: Tx,
    rollBack: RollBack<Refused>,
  ) => Promise<{ readonly kind: 'done'; readonly answer: RecordedAnswer } | Refused>
}

/** An operation that is one transaction: its key is bound to its answer in the same commit. */
export async function guardTransaction(layers: Layers, call: Call, steps: Transactional): Promise<Guarded<never>> {
  const { resource, contended } = steps
  const redisLock: RedisLockLayer = resource === null ? (_, work) => work() : layers.redisLock
  const advisoryLock: AdvisoryLockLayer = resource === null ? (_, __, work) => work() : layers.advisoryLock
  const meetAt = { resource: resource ?? '', contended }
  const { door = openDoor } = steps
  return door(call, () =>
    judgeKey(layers, call, { meetAt, resume: neverAnIntent }, () =>
      redisLock(meetAt.resource, () =>
        layers
          .transaction<Guarded<never> | KeyTaken, KeyTaken | TakenBack>((tx, rollBack) =>
            advisoryLock(tx, meetAt.resource, async () => {
              const takeBack = (refused: Refused) => rollBack({ kind: 'taken-back', refused })
              const result = await unlessKeyTaken(layers, call, tx, await steps.work(tx, takeBack))
              if (result.kind !== 'done') return result
              if (!(await layers.idempotencyKey.bindToAnswer(tx, call, result.answer))) rollBack({ kind: 'key-taken' })
              return { kind: 'answered', answer: result.answer, replayed: false }
            }),
          )
          .then((result) =>
            result.kind === 'taken-back' ? unlessKeyTaken(layers, call, undefined, result.refused) : result,
          ),
      ),
    ),
  )
}

/** Refused after a write, which is rolled back by now. */
interface TakenBack {
  readonly kind: 'taken-back'
  readonly refused: Refused
}

const openDoor: CheapDoor = (_, work) => work()

/**
 * The settling half: one transaction under the same lock, for requests and for recovery alike.
 *
 * It is tried again while the database is away, for some 5 s: what the gateway said is known here and nowhere else. A
 * settle whose COMMIT was not answered may have happened; then the next one finds that, by the generation, and answers it.
 */
export async function guardSettle<T>(layers: Layers, resource: string, settle: (tx: Tx) => Promise<T>): Promise<T> {
  return throughOutage(
    () => layers.transaction((tx) => layers.advisoryLock(tx, resource, () => settle(tx))),
    (fault) => layers.reportFault(fault, resource),
  )
}

/** The name of an order's lock, in Redis and in PostgreSQL alike. The account is in it: a stranger contends with nobody. */
export function orderLockName({
  accountId,
  orderId,
}: {
  readonly accountId: string
  readonly orderId: string
}): string {
  return `order:${accountId}:${orderId}`
}

type Claim<Claimed> = { readonly kind: 'claimed'; readonly claimed: Claimed } | Answered | Refused | KeyTaken

/**
 * A refusal holds only for a key that is still free: a copy of this request may have been answered while this one waited
 * for the locks, and then that is its answer too. Whoever is not refused learns the same by binding the key.
 */
async function unlessKeyTaken<R extends { readonly kind: string }>(
  { idempotencyKey }: Layers,
  call: Call,
  tx: Tx | undefined,
  result: R,
): Promise<R | KeyTaken> {
  if (result.kind !== 'refused') return result
  const seen = await idempotencyKey.find(call, tx)
  return seen.kind === 'unseen' ? result : { kind: 'key-taken' }
}

/** Layer 1 around all others: first by one read, and again where the layers below found the key taken meanwhile. */
async function judgeKey<Unsettled>(
  layers: Layers,
  call: Call,
  { meetAt, resume }: ByKey<Unsettled>,
  operate: (at: MeetingPoint) => Promise<Guarded<Unsettled> | KeyTaken | Contended | NotAdmitted>,
): Promise<Guarded<Unsettled>> {
  const before = await layers.idempotencyKey.find(call)
  if (before.kind !== 'unseen') return answerForKey(before, resume)

  const at = typeof meetAt === 'function' ? await meetAt() : meetAt
  if ('kind' in at) return at
  const result = await contendedWhenLocked(() => operate(at))
  if (result.kind === 'contended') return { kind: 'refused', refusal: at.contended }
  if (result.kind === 'not-admitted') return refusedForNow(result)
  if (result.kind !== 'key-taken') return result

  const after = await layers.idempotencyKey.find(call).catch(keyIsBound)
  // The transaction that took the key may have been rolled back since: then the next request finds it free.
  if (after.kind === 'unseen') return { kind: 'refused', refusal: at.contended }
  return answerForKey(after, resume)
}

async function answerForKey<Unsettled>(
  seen: Exclude<KeySeen, { kind: 'unseen' }>,
  resume: (intent: Intent) => Promise<Guarded<Unsettled>>,
): Promise<Guarded<Unsettled>> {
  switch (seen.kind) {
    case 'reused':
      return { kind: 'refused', refusal: { code: 'idempotency-key-reused' } }
    case 'answered':
      return { kind: 'answered', answer: seen.answer, replayed: true }
    case 'unanswered':
      return resume(seen.intent).catch(keyIsBound)
    default:
      return seen satisfies never
  }
}

/** A lock that is not had in time was somebody else's all the while; PostgreSQL has rolled our transaction back. */
async function contendedWhenLocked<T>(operate: () => Promise<T>): Promise<T | Contended> {
  try {
    return await operate()
  } catch (error) {
    if (isContention(error)) return { kind: 'contended' }
    throw error
  }
}

/** The claim is committed: no fault may tell the caller that nothing happened. Recovery will finish what is open. */
async function afterCommit<Unsettled>(
  layers: Layers,
  resource: string,
  subject: Unsettled,
  finish: () => Promise<Guarded<Unsettled>>,
): Promise<Guarded<Unsettled>> {
  try {
    return await finish()
  } catch (fault) {
    layers.reportFault(fault, resource)
    return { kind: 'unsettled', subject }
  }
}

/** What stands under the key is committed: a database that cannot be asked about it must not read as "nothing happened". */
function keyIsBound(fault: unknown): never {
  throw new Error('the key is taken, and what came of its request could not be read', { cause: fault })
}

function neverAnIntent(): never {
  throw new Error('the key of an operation without an effect is bound to an intent')
}
