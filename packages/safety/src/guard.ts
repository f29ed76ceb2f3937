import type { Tx } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import { underLock } from './advisory-lock.ts'
import { claimUnderLock } from './claim.ts'
import type { NotAdmitted } from './gateway-protocol/gateway-gate.ts'
import { oncePerKey } from './idempotency-key.ts'
import type {
  Claimed,
  EffectOperation,
  Layers,
  LockTarget,
  RequestOperation,
  SystemOperation,
  TransactionOperation,
} from './operation.ts'
import type { RedisLockLayer } from './redis-lock.ts'
import type { Contended, Guarded, Refused } from './result.ts'
import { isContention, retryWhileUnavailable } from './retry-while-unavailable.ts'

/**
 * THE ORDER OF THE LAYERS. The nesting of the first three functions is the order.
 *
 *   0 pre-check         (holds of chosen seats) is another request taking the seat? It costs no database connection.
 *   1 idempotency key   was this very request answered before?
 *   2   Redis lock      is another request at this resource? (a hint that saves transactions)
 *         gate          does the gateway answer and allow this, and is a slot free? (otherwise nothing is claimed)
 *         transaction
 *   3       advisory lock   one decider at a time
 *   4         claim: read, decide, compare-and-set,
 *   5         insert the payment or refund once,
 *   1         bind the key to it
 *         COMMIT            from here on the claim survives any crash
 *   6     effect: the gateway, with no transaction open
 *         transaction
 *   3       advisory lock
 *   4, 5      settle: the outcome, its bookings
 *   1         and the answer for the key
 *         COMMIT            or, where one effect leads to the next (authorized, then captured), its claim: then 6 again
 *
 * The entrances: requests enter at `guardEffect` and `guardTransaction`, billing and repairs at `guardSystemEffect`,
 * recovery at `finishAttempt` with a row that it has taken over, webhooks and sweeps at `guardSettle`. Only what is
 * nested inside a transaction receives its `tx`, so the compiler keeps the effect out of it.
 */

/**
 * Runs an operation with an effect, once per key.
 *
 * Guarantees: after its claim was committed, the caller receives the outcome or `unsettled`, whatever fails. Before
 * that, it receives a refusal or an error, and nothing was changed; the one exception, `CommitUnknown`, says so itself.
 * A retry whose key is known to be taken never reads that nothing happened, even where the database is away by then.
 */
export function guardEffect<A, E, S>(
  layers: Layers,
  call: Call,
  operation: RequestOperation<A, E, S>,
): Promise<Guarded<S>> {
  return oncePerKey(layers.idempotencyKey, call, operation, (lockOn) =>
    refuseContention(lockOn, () =>
      layers.redisLock(lockOn.resource, () =>
        layers.gatewayGate.forRequests({ accountId: call.accountId, operation: operation.begins }, async () => {
          const { claim: decide, wasClaimed } = operation
          const claim = await claimUnderLock(layers, { resource: lockOn.resource, call, decide, wasClaimed })
          return claim.kind === 'claimed' ? effectAndSettle(layers, lockOn, operation, claim) : claim
        }),
      ),
    ),
  )
}

/**
 * Runs an effect that no client asked for: a period that fell due, a repair. Layer 1 has nothing to do, so the claim
 * must compare or insert something that can happen once.
 */
export function guardSystemEffect<A, E, S>(layers: Layers, operation: SystemOperation<A, E, S>): Promise<Guarded<S>> {
  const { lockOn, claim: decide, wasClaimed } = operation
  return refuseContention(lockOn, () =>
    layers.redisLock(lockOn.resource, () =>
      layers.gatewayGate.forRecovery(operation.begins, async () => {
        const claim = await claimUnderLock(layers, { resource: lockOn.resource, call: null, decide, wasClaimed })
        if (claim.kind === 'key-taken') throw new Error('a key was taken where no key is')
        return claim.kind === 'claimed' ? effectAndSettle(layers, lockOn, operation, claim) : claim
      }),
    ),
  )
}

/** Runs an operation that is one transaction. The same commit binds its key to the answer, or to what brings it. */
export function guardTransaction<S = never>(layers: Layers, call: Call, operation: TransactionOperation<S>) {
  const { preCheck = runUnchecked, lockOn, work: decide, resume = neverAnEffect } = operation
  const redisLock = lockOn.resource === null ? noRedisLock : layers.redisLock
  return preCheck(call, () =>
    oncePerKey(layers.idempotencyKey, call, { lockOn, resume }, () =>
      refuseContention(lockOn, () =>
        redisLock(lockOn.resource ?? '', async () => {
          const claim = await claimUnderLock(layers, { ...lockOn, call, decide, wasClaimed: neverOwnClaim })
          return claim.kind === 'claimed' ? ({ kind: 'key-taken' } as const) : claim
        }),
      ),
    ),
  )
}

/** The most effects that one operation has: authorize, then capture or void. */
const mostEffects = 2

/** What an owner does between its claim and the end, whether it claimed first or took over. */
export async function finishAttempt<A, E, S>(
  layers: Layers,
  resource: string,
  { effect, settle }: Pick<EffectOperation<A, E, S>, 'effect' | 'settle'>,
  claimed: A,
): Promise<Guarded<S>> {
  let attempt = claimed
  for (let effects = 1; ; effects += 1) {
    const evidence = await effect(attempt)
    const result = await guardSettle(layers, resource, (tx) => settle(tx, attempt, evidence))
    if (result.kind !== 'continues') return result
    if (effects === mostEffects) throw new Error('an effect led to one more than there are')
    attempt = result.attempt
  }
}

/**
 * The settling half: one transaction under the lock, for requests, recovery, webhooks and repairs alike.
 *
 * It is tried again while the database is away, for some 5 s, because only this process knows what the gateway
 * answered. A settle whose COMMIT was not answered may have happened; the next try recognizes that by the generation. A
 * caller that can get the same evidence again, such as a webhook, passes `mayRetry`.
 */
export function guardSettle<T>(
  layers: Layers,
  resource: string,
  settle: (tx: Tx) => Promise<T>,
  mayRetry?: () => boolean,
): Promise<T> {
  const report = (fault: unknown) => layers.reportFault(fault, resource)
  return retryWhileUnavailable(layers.runtime, () => underLock(layers, resource, settle), report, mayRetry)
}

/** The claim is committed: an error must not look as if nothing had happened. Recovery finishes what is open. */
async function effectAndSettle<A, E, S>(
  layers: Layers,
  lockOn: LockTarget,
  operation: EffectOperation<A, E, S>,
  { attempt }: Claimed<A>,
): Promise<Guarded<S>> {
  const resource = operation.settleLock?.(attempt) ?? lockOn.resource
  try {
    return await finishAttempt(layers, resource, operation, attempt)
  } catch (fault) {
    layers.reportFault(fault, resource)
    return { kind: 'unsettled', subject: operation.unsettled(attempt) }
  }
}

/** Turns a lost race, a lock that was not granted in time and a closed gate into refusals. */
async function refuseContention<T extends { readonly kind: string }>(
  { contended }: Pick<LockTarget, 'contended'>,
  work: () => Promise<T | Contended | NotAdmitted>,
): Promise<Exclude<T, Contended | NotAdmitted> | Refused> {
  try {
    const result: T | Contended | NotAdmitted = await work()
    if (result.kind === 'contended') return { kind: 'refused', refusal: contended }
    if (result.kind !== 'not-admitted') return result as Exclude<T, Contended | NotAdmitted>
    const { reason, retryAfterSeconds } = result as NotAdmitted
    const code = reason === 'forbidden' ? 'gateway-forbids-operation' : 'temporarily-unavailable'
    return { kind: 'refused', refusal: { code, retryAfterSeconds } }
  } catch (fault) {
    if (isContention(fault)) return { kind: 'refused', refusal: contended }
    throw fault
  }
}

const runUnchecked = <S>(_: Call, work: () => Promise<S>): Promise<S> => work()
const noRedisLock: RedisLockLayer = (_, work) => work()
const neverOwnClaim = async () => false // Nothing follows one transaction: the row of a bound key has its answer.

function neverAnEffect(): never {
  throw new Error('an operation that is one transaction has no effect to resume')
}
