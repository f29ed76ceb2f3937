import { CommitUnknown, type RollBack, type Tx } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import { underLock } from './advisory-lock.ts'
import { lostRace } from './insert-once.ts'
import type { Claimed, Done, Layers } from './operation.ts'
import type { Answered, Contended, KeyTaken, Refused } from './result.ts'
import { retryWhileUnavailable } from './retry-while-unavailable.ts'

/** One claim, as it is decided and committed under the lock of its resource. */
export interface Claim<Attempt> {
  readonly resource: string | null
  /** Null: no client asked for it. */
  readonly call: Call | null
  readonly decide: (tx: Tx, rollBack: RollBack<Refused | Contended>) => Promise<Claimed<Attempt> | Done | Refused>
  readonly wasClaimed: (tx: Tx, attempt: Attempt) => Promise<boolean>
}

export type ClaimResult<Attempt> = Claimed<Attempt> | Answered | Refused | KeyTaken | Contended

/**
 * Decides, writes, and binds the key, in one commit.
 *
 * A lost race is a value. If COMMIT got no answer, the claim is read under its lock, through the outage: it is there
 * and continues, or it is not there and is refused for now. Fails with `CommitUnknown` when the database stays away.
 */
export async function claimUnderLock<A>(layers: Layers, claim: Claim<A>): Promise<ClaimResult<A>> {
  try {
    const decided = await underLock<Claimed<A> | Done | Refused, Refused | Contended>(
      layers,
      claim.resource,
      (tx, rollBack) => decideAndBind(layers, claim, tx, rollBack),
    )
    return await judge(layers, claim, decided)
  } catch (fault) {
    if (fault instanceof CommitUnknown) return judgeUnknown(layers, claim, fault)
    const lost = lostRace(fault)
    if (lost) return lost
    throw fault
  }
}

type Decided<A> = Claimed<A> | Done | Refused | Contended

async function decideAndBind<A>(
  { idempotencyKey }: Layers,
  { call, decide }: Claim<A>,
  tx: Tx,
  rollBack: RollBack<Refused | Contended>,
): Promise<Claimed<A> | Done | Refused> {
  const decided = await decide(tx, rollBack)
  if (call && decided.kind !== 'refused')
    idempotencyKey.bind(tx, call, decided.kind === 'claimed' ? decided.target : decided.answer)
  return decided
}

/** A refusal holds only while the key is free: a copy may have been answered while this request waited for the lock. */
async function judge<A>(
  { idempotencyKey }: Layers,
  { call }: Pick<Claim<A>, 'call'>,
  decided: Decided<A>,
): Promise<ClaimResult<A>> {
  if (decided.kind === 'done') return { kind: 'answered', answer: decided.answer, replayed: false }
  if (decided.kind !== 'refused' || call === null) return decided
  return (await idempotencyKey.find(call)).kind === 'unseen' ? decided : { kind: 'key-taken' }
}

async function judgeUnknown<A>(layers: Layers, claim: Claim<A>, unknown: CommitUnknown): Promise<ClaimResult<A>> {
  // A refusal writes nothing, so its COMMIT is never unknown.
  const decided = unknown.result as Claimed<A> | Done
  const report = (fault: unknown) => layers.reportFault(fault, claim.resource ?? 'a new row')
  report(unknown)
  return retryWhileUnavailable(
    layers.runtime,
    () =>
      underLock<ClaimResult<A>, Refused>(layers, claim.resource, (tx, rollBack) =>
        readCommit(layers, claim, decided, tx, rollBack),
      ),
    report,
  ).catch((fault) => {
    report(fault)
    throw unknown
  })
}

/**
 * Finds out what became of the claim.
 *
 * The lock, and without one the key's row, makes a backend that is still committing finish first, so the answer is
 * final. A key that is bound to a claim of another owner is a copy's, or recovery's by now: then the key's answer is
 * true.
 */
async function readCommit<A>(
  { idempotencyKey }: Layers,
  { call, wasClaimed }: Claim<A>,
  decided: Claimed<A> | Done,
  tx: Tx,
  rollBack: RollBack<Refused>,
): Promise<Claimed<A> | KeyTaken | Refused> {
  if (call !== null && !(await idempotencyKey.isBound(tx, call))) return rollBack(notCommitted)
  if (decided.kind === 'claimed' && (await wasClaimed(tx, decided.attempt))) return decided
  return call === null ? rollBack(notCommitted) : { kind: 'key-taken' }
}

/** The database is back by now; the next request finds it. */
const notCommitted: Refused = { kind: 'refused', refusal: { code: 'temporarily-unavailable', retryAfterSeconds: 1 } }
