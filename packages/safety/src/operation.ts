import type { Database, RollBack, Tx } from '@seatbelt/database'
import type { Call, RecordedAnswer, Refusal, Runtime } from '@seatbelt/domain'
import type { AdvisoryLockLayer } from './advisory-lock.ts'
import type { GatewayAdmission } from './gateway-protocol/gateway-gate.ts'
import type { GatewayClaim, GatewayOperation } from './gateway-protocol/gateway-stops.ts'
import type { IdempotencyKeyLayer, KeyTarget } from './idempotency-key.ts'
import type { RedisLockLayer } from './redis-lock.ts'
import type { Contended, Guarded, Refused } from './result.ts'

/** The layers that are brackets, and what they need. Layers 4 to 6 are statements and requests inside of operations. */
export interface Layers {
  readonly idempotencyKey: IdempotencyKeyLayer
  readonly redisLock: RedisLockLayer
  /** Inside the Redis lock, so that the copies of one payment do not take the slots of others. */
  readonly gatewayGate: GatewayAdmission
  readonly advisoryLock: AdvisoryLockLayer
  readonly transaction: Database['transaction']
  readonly runtime: Runtime
  /** Receives each error after a commit, which the caller does not see, and the resource that it concerns. */
  readonly reportFault: (fault: unknown, resource: string) => void
}

/** A resource that one operation at a time decides about, and what the others receive. */
export interface LockTarget {
  readonly resource: string
  readonly contended: Refusal
}

/** An operation with a side effect in another system. */
export interface EffectOperation<Attempt, Evidence, Subject> {
  /** Decides and writes, or refuses and writes nothing. `done`: nothing has to be asked of the gateway. */
  readonly claim: (tx: Tx, rollBack: RollBack<Refused | Contended>) => Promise<Claimed<Attempt> | Done | Refused>
  readonly effect: (attempt: Attempt) => Promise<Evidence>
  readonly settle: (tx: Tx, attempt: Attempt, evidence: Evidence) => Promise<Guarded<Subject> | Continues<Attempt>>
  /** The lock of settling, where the claim made the resource that is settled. */
  readonly settleLock?: (attempt: Attempt) => string
  /** Whether the claim is committed. Asked under its lock, after a COMMIT without an answer. */
  readonly wasClaimed: (tx: Tx, attempt: Attempt) => Promise<boolean>
  /** What is known of an attempt whose outcome this process could not learn or write. */
  readonly unsettled: (attempt: Attempt) => Subject
}

/** An operation with an effect on behalf of a request. */
export interface RequestOperation<Attempt, Evidence, Subject> extends EffectOperation<Attempt, Evidence, Subject> {
  /** A function where it must be looked up, or may be refused. It is asked only for a key that was not seen before. */
  readonly lockOn: LockTarget | (() => Promise<LockTarget | Refused>)
  /** The operation that its claim begins at the gateway. */
  readonly begins: GatewayOperation
  /** The key is bound to a target that has no answer yet. */
  readonly resume: (target: KeyTarget) => Promise<Guarded<Subject>>
}

/** An operation with an effect that no client asked for. */
export interface SystemOperation<Attempt, Evidence, Subject> extends EffectOperation<Attempt, Evidence, Subject> {
  readonly lockOn: LockTarget
  /** The operation that its claim begins at the gateway, and its account. */
  readonly begins: GatewayClaim
}

/** An operation that is one transaction. */
export interface TransactionOperation<Subject = never> {
  /** Rejects requests that cannot succeed before they cost a database connection; otherwise runs the work. */
  readonly preCheck?: PreCheck<Subject>
  /** `resource` is null where nothing exists yet that two requests could meet at, or where `work` locks its row. */
  readonly lockOn: { readonly resource: string | null; readonly contended: Refusal }
  /** Decides and writes, or refuses. A refusal after a write goes through `rollBack`. */
  readonly work: (tx: Tx, rollBack: RollBack<Refused | Contended>) => Promise<Claimed<null> | Done | Refused>
  /** The work claimed a target for the key, whose end brings the answer. The request itself continues here as well. */
  readonly resume?: (target: KeyTarget) => Promise<Guarded<Subject>>
}

export type PreCheck<Subject = never> = (call: Call, work: () => Promise<Guarded<Subject>>) => Promise<Guarded<Subject>>

export interface Claimed<Attempt> {
  readonly kind: 'claimed'
  readonly attempt: Attempt
  /** The target of the key, if there is one. */
  readonly target: KeyTarget
}

export interface Done {
  readonly kind: 'done'
  readonly answer: RecordedAnswer
}

/** The settle claimed the next effect in the same commit, for the same owner. */
export interface Continues<Attempt> {
  readonly kind: 'continues'
  readonly attempt: Attempt
}
