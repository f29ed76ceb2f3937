import { type Database, type IdempotencyKey, Prisma, type Tx } from '@seatbelt/database'

/**
 * Layer 1: the idempotency key.
 *
 * Guarantees: of all requests of one account with one key, at most one starts an operation, and once that operation is
 * settled all of them get its answer, byte for byte. The key's row is written in the claim's commit and its answer in
 * the settling commit, so that there is no moment at which the work exists without its key or its end without its answer.
 * Does not guarantee: anything about two different keys for one order; the layers below are for those.
 * Fails with: `key-reused` as a value when the key stands for a different request; database faults as they are.
 * Source: the Idempotency-Key header of the IETF's httpapi working group (draft-ietf-httpapi-idempotency-key-header), and
 * Stripe's published behaviour, which clients know.
 */
export interface IdempotencyKeyLayer {
  /** Is this key known? One look-up by primary key; with `tx`, under the locks that its transaction holds. */
  find(call: Call, tx?: Tx): Promise<KeySeen>
  /** Binds the key to the step of an intent that it starts. False: another request bound it first, for another resource. */
  bindToIntent(tx: Tx, call: Call, intent: Intent): Promise<boolean>
  /** For an operation that is one transaction: binds the key to its answer at once. False as above. */
  bindToAnswer(tx: Tx, call: Call, answer: RecordedAnswer): Promise<boolean>
  /** Records the answer of the key that started this step, if a key did. An answer that is there already stays. */
  answerIntent(tx: Tx, accountId: string, intent: Intent, answer: RecordedAnswer): Promise<void>
  /** The answer that is recorded for the key that started this step, if there is one. */
  findAnswer(tx: Tx, accountId: string, intent: Intent): Promise<RecordedAnswer | null>
}

/**
 * What a key can start: one step of a payment, or a refund; `checkout` is the whole of a payment, authorized and captured. Each
 * is started by one key, if by any.
 */
export type Intent =
  | { readonly step: 'pay' | 'checkout' | 'capture' | 'void'; readonly paymentId: string }
  | { readonly step: 'refund'; readonly refundId: string }

/** Who calls, with which key, and what for. `fingerprint`: SHA-256 over method, path and body; 32 bytes. */
export interface Call {
  readonly accountId: string
  readonly key: string
  readonly fingerprint: Uint8Array
}

/** An answer as it went out the first time. What its numbers and bytes mean is known to the one who renders it. */
export interface RecordedAnswer {
  readonly status: number
  readonly body: string
  readonly location: string | null
}

export type KeySeen =
  | { readonly kind: 'unseen' }
  | { readonly kind: 'reused' }
  | { readonly kind: 'answered'; readonly answer: RecordedAnswer }
  | { readonly kind: 'unanswered'; readonly intent: Intent }

export function createIdempotencyKeyLayer(database: Database): IdempotencyKeyLayer {
  return {
    find: (call, tx) => (tx ? find(tx, call) : database.statement((client) => find(client, call))),
    bindToIntent: (tx, call, intent) => insert(tx, { call, intent, answer: null }),
    bindToAnswer: (tx, call, answer) => insert(tx, { call, intent: null, answer }),
    answerIntent: async (tx, accountId, intent, answer) => {
      const { column, id } = namedIn(intent)
      await tx.$executeRaw`
        UPDATE idempotency_keys
           SET answer_status = ${answer.status}, answer_body = ${answer.body}, answer_location = ${answer.location},
               answered_at = clock_timestamp()
         WHERE account_id = ${accountId}::uuid AND ${column} = ${id}::uuid AND step = ${intent.step} AND answer_status IS NULL`
    },
    findAnswer: async (tx, accountId, intent) => {
      const row = await tx.idempotencyKey.findFirst({ where: { accountId, ...intent } })
      return row && answerIn(row)
    },
  }
}

async function find(tx: Pick<Tx, 'idempotencyKey'>, { accountId, key, fingerprint }: Call): Promise<KeySeen> {
  const row = await tx.idempotencyKey.findUnique({ where: { accountId_key: { accountId, key } } })
  if (!row) return { kind: 'unseen' }
  if (Buffer.compare(row.fingerprint, fingerprint) !== 0) return { kind: 'reused' }
  const answer = answerIn(row)
  if (answer) return { kind: 'answered', answer }
  return { kind: 'unanswered', intent: intentIn(row) }
}

/** The database holds that a key without an answer names one, and that its step fits. */
function intentIn({ step, paymentId, refundId }: IdempotencyKey): Intent {
  if (refundId !== null) return { step: 'refund', refundId }
  if (paymentId !== null && (step === 'pay' || step === 'checkout' || step === 'capture' || step === 'void'))
    return { step, paymentId }
  throw new Error('a key has neither an answer nor an intent')
}

const intentColumns = { payment: Prisma.sql`payment_id`, refund: Prisma.sql`refund_id` }

function namedIn(intent: Intent): { readonly column: Prisma.Sql; readonly id: string } {
  return intent.step === 'refund'
    ? { column: intentColumns.refund, id: intent.refundId }
    : { column: intentColumns.payment, id: intent.paymentId }
}

function answerIn(row: IdempotencyKey): RecordedAnswer | null {
  if (row.answerStatus === null || row.answerBody === null) return null
  return { status: row.answerStatus, body: row.answerBody, location: row.answerLocation }
}

interface KeyRow {
  readonly call: Call
  readonly intent: Intent | null
  readonly answer: RecordedAnswer | null
}

/** ON CONFLICT DO NOTHING: a second insert waits for the first one's transaction and then sees that it lost. */
async function insert(tx: Tx, { call, intent, answer }: KeyRow): Promise<boolean> {
  // Prisma takes bytes over a plain ArrayBuffer only; a copy of 32 bytes buys that certainty.
  const fingerprint = new Uint8Array(call.fingerprint)
  const row = {
    accountId: call.accountId,
    key: call.key,
    fingerprint,
    ...intent,
    ...(answer ? columns(answer) : { answeredAt: null }),
  }
  const { count } = await tx.idempotencyKey.createMany({ data: [row], skipDuplicates: true })
  return count === 1
}

function columns({ status, body, location }: RecordedAnswer) {
  return { answerStatus: status, answerBody: body, answerLocation: location }
}
