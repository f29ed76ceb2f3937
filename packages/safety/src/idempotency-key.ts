import { type Database, type Sql, sql, type Tx } from '@seatbelt/database'
import type { Call, RecordedAnswer, Refusal } from '@seatbelt/domain'
import type { Guarded, KeyTaken, Refused } from './result.ts'

/**
 * Layer 1: the idempotency key.
 *
 * Guarantees: of all requests of one account with one key, at most one starts an operation. Once that operation is
 * settled, all of them receive its answer, byte for byte. The key's row is written in the claim's commit, and its
 * answer in the settling commit, so the work never exists without its key, nor its end without its answer.
 * Does not guarantee: anything about two different keys for one order; the layers below do.
 * Fails with: `idempotency-key-reused` as a value when the key stands for a different request; database errors as they
 * are.
 * Source: the Idempotency-Key header of the IETF's httpapi working group (draft-ietf-httpapi-idempotency-key-header),
 * and Stripe's published behavior, which clients know.
 */
export interface IdempotencyKeyLayer {
  /** One lookup by primary key; with `tx`, under the locks that its transaction holds. */
  find(call: Call, tx?: Tx): Promise<KeySeen>
  /**
   * Binds the key to what it starts, or to an answer that is final at once.
   *
   * If another request has bound it, the transaction fails with a UniqueViolation of `idempotency_keys_pkey`.
   */
  bind(tx: Tx, call: Call, to: KeyTarget | RecordedAnswer): void
  /**
   * Whether a committed transaction has bound the key. Waits for one that is still committing.
   *
   * It writes: if the key is not bound, the caller must roll back. If it is, this transaction's COMMIT waits for the
   * standbys that the first COMMIT waited for.
   */
  isBound(tx: Tx, call: Call): Promise<boolean>
  /** Binds the key of `from` to `to` instead, whose end brings its answer. A key that has an answer stays. */
  rebind(tx: Tx, accountId: string, from: RefundTarget, to: RefundTarget): void
  /** Records the answer of the keys that started this step, if any did. An answer that is there already stays. */
  recordAnswer(tx: Tx, accountId: string, target: KeyTarget, answer: RecordedAnswer): void
  /** The answer that is recorded for the key that started this step, if there is one. */
  findAnswer(tx: Tx, accountId: string, target: KeyTarget): Promise<RecordedAnswer | null>
}

/**
 * The work that an idempotency key can start: one step of a payment, or a refund. `checkout` is a whole payment,
 * authorized and captured. Each step is started by at most one key; but any number of keys may `withdraw` a payment.
 */
export type KeyTarget =
  | { readonly step: 'pay' | 'checkout' | 'capture' | 'void' | 'withdraw'; readonly paymentId: string }
  | RefundTarget

export interface RefundTarget {
  readonly step: 'refund'
  readonly refundId: string
}

export type KeySeen =
  | { readonly kind: 'unseen' }
  | { readonly kind: 'reused' }
  | { readonly kind: 'answered'; readonly answer: RecordedAnswer }
  | { readonly kind: 'unanswered'; readonly target: KeyTarget }

/** The part of an operation that the bracket needs. */
export interface KeyedOperation<Target extends { readonly contended: Refusal }, Subject> {
  /** A function where the resource must be looked up, or may be refused. It is asked only for a key that is new. */
  readonly lockOn: Target | (() => Promise<Target | Refused>)
  /** The key is bound to a target that has no answer yet. */
  readonly resume: (target: KeyTarget) => Promise<Guarded<Subject>>
}

/**
 * The bracket around all other layers: answers from the key's row where it can, else runs `work`, and looks once more.
 */
export async function oncePerKey<Target extends { readonly contended: Refusal }, Subject>(
  layer: IdempotencyKeyLayer,
  call: Call,
  { lockOn, resume }: KeyedOperation<Target, Subject>,
  work: (lockOn: Target) => Promise<Guarded<Subject> | KeyTaken>,
): Promise<Guarded<Subject>> {
  const before = await layer.find(call)
  if (before.kind !== 'unseen') return answerFrom(before, resume)

  const target = typeof lockOn === 'function' ? await lockOn() : lockOn
  if ('kind' in target) return target
  const result = await work(target)
  if (result.kind !== 'key-taken') return result

  const after = await layer.find(call).catch(keyIsBound)
  // The transaction that took the key may have rolled back since. Then the next request finds it free.
  if (after.kind === 'unseen') return { kind: 'refused', refusal: target.contended }
  return answerFrom(after, resume)
}

async function answerFrom<Subject>(
  seen: Exclude<KeySeen, { kind: 'unseen' }>,
  resume: (target: KeyTarget) => Promise<Guarded<Subject>>,
): Promise<Guarded<Subject>> {
  switch (seen.kind) {
    case 'reused':
      return { kind: 'refused', refusal: { code: 'idempotency-key-reused' } }
    case 'answered':
      return { kind: 'answered', answer: seen.answer, replayed: true }
    case 'unanswered':
      return resume(seen.target).catch(keyIsBound)
    default:
      return seen satisfies never
  }
}

/** The claim of the key is committed, so a failing read must not look as if nothing had happened. */
function keyIsBound(fault: unknown): never {
  throw new Error('the key is taken, and the state of its request could not be read', { cause: fault })
}

export function createIdempotencyKeyLayer(database: Pick<Database, 'query'>): IdempotencyKeyLayer {
  return {
    find: async (call, tx) => {
      const statement = keyOf(call)
      const [row] = await (tx ? tx.read<KeyRow>(statement) : database.query<KeyRow>(statement))
      return row ? seenIn(row, call) : { kind: 'unseen' }
    },
    bind: (tx, call, to) => tx.write('step' in to ? bindToTarget(call, to) : bindToAnswer(call, to)),
    isBound: async (tx, call) => {
      // A conflicting row is locked, not updated, and not returned.
      const inserted = await tx.writeReturning(sql`
        ${bindToAnswer(call, { status: 503, body: '', location: null })}
        ON CONFLICT (account_id, key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint WHERE false
        RETURNING 1`)
      return inserted.length === 0
    },
    rebind: (tx, accountId, from, { refundId }) =>
      tx.write(sql`
        UPDATE idempotency_keys SET refund_id = ${refundId}::uuid
         WHERE ${isKeyOf(accountId, from)} AND answer_status IS NULL`),
    recordAnswer: (tx, accountId, target, { status, body, location }) =>
      tx.write(sql`
        UPDATE idempotency_keys
           SET answer_status = ${status}, answer_body = ${body}, answer_location = ${location},
               answered_at = clock_timestamp()
         WHERE ${isKeyOf(accountId, target)} AND answer_status IS NULL`),
    findAnswer: async (tx, accountId, target) => {
      const [row] = await tx.read<AnswerRow>(sql`
        SELECT ${answerColumns} FROM idempotency_keys WHERE ${isKeyOf(accountId, target)}`)
      return row ? answerIn(row) : null
    },
  }
}

const answerColumns = sql`answer_status AS status, answer_body AS body, answer_location AS location`

function keyOf({ accountId, key }: Call): Sql {
  return sql`
    SELECT fingerprint, step, payment_id AS "paymentId", refund_id AS "refundId", ${answerColumns}
      FROM idempotency_keys WHERE account_id = ${accountId}::uuid AND key = ${key}`
}

function isKeyOf(accountId: string, target: KeyTarget): Sql {
  return target.step === 'refund'
    ? sql`account_id = ${accountId}::uuid AND refund_id = ${target.refundId}::uuid`
    : sql`account_id = ${accountId}::uuid AND payment_id = ${target.paymentId}::uuid AND step = ${target.step}`
}

function bindToTarget({ accountId, key, fingerprint }: Call, target: KeyTarget): Sql {
  const [paymentId, refundId] = target.step === 'refund' ? [null, target.refundId] : [target.paymentId, null]
  return sql`
    INSERT INTO idempotency_keys (account_id, key, fingerprint, step, payment_id, refund_id, answered_at)
    VALUES (${accountId}::uuid, ${key}, ${Buffer.from(fingerprint)}, ${target.step}, ${paymentId}::uuid, ${refundId}::uuid,
            NULL)`
}

function bindToAnswer({ accountId, key, fingerprint }: Call, { status, body, location }: RecordedAnswer): Sql {
  return sql`
    INSERT INTO idempotency_keys (account_id, key, fingerprint, answer_status, answer_body, answer_location)
    VALUES (${accountId}::uuid, ${key}, ${Buffer.from(fingerprint)}, ${status}, ${body}, ${location})`
}

interface AnswerRow {
  readonly status: number | null
  readonly body: string | null
  readonly location: string | null
}

interface KeyRow extends AnswerRow {
  readonly fingerprint: Buffer
  readonly step: string
  readonly paymentId: string | null
  readonly refundId: string | null
}

function seenIn(row: KeyRow, { fingerprint }: Call): KeySeen {
  if (!row.fingerprint.equals(fingerprint)) return { kind: 'reused' }
  const answer = answerIn(row)
  return answer ? { kind: 'answered', answer } : { kind: 'unanswered', target: targetIn(row) }
}

/** A constraint of the table holds that a key without an answer names its target, and that its step fits. */
function targetIn({ step, paymentId, refundId }: KeyRow): KeyTarget {
  if (refundId !== null) return { step: 'refund', refundId }
  const known = (['pay', 'checkout', 'capture', 'void', 'withdraw'] as const).find((name) => name === step)
  if (paymentId !== null && known) return { step: known, paymentId }
  throw new Error('a key has neither an answer nor a target')
}

function answerIn({ status, body, location }: AnswerRow): RecordedAnswer | null {
  return status === null || body === null ? null : { status, body, location }
}
