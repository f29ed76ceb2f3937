import { createHash, randomBytes } from 'node:crypto'
import { empty, type Sql, sql } from '@seatbelt/database'
import type { Call, RecordedAnswer, WebhookDelivery, WebhookDeliveryState, WebhookEndpoint } from '@seatbelt/domain'
import { type Guarded, guardTransaction } from '@seatbelt/safety'
import { bindOperations } from '../shared/bind-operations.ts'
import { listed } from '../shared/listed.ts'
import type { Listed, Page } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { unlocked } from '../shared/unlocked.ts'

export interface NewWebhookEndpoint {
  readonly url: string
  /** Makes a new secret. The one before it signs as well until the next rotation. */
  readonly rotateSecret: boolean
}

export type DeliveryPage = Page & { readonly state: WebhookDeliveryState | null }

/** How an account manages its webhooks. */
export type WebhookOperations = ReturnType<typeof createWebhookOperations>

export function createWebhookOperations(deps: PaymentDeps) {
  return bindOperations(deps, { setEndpoint, findEndpoint, listDeliveries, replayDelivery })
}

/**
 * Creates the account's endpoint, or changes it. Messages that wait go to the new address.
 *
 * The answer that made a secret shows it, and so does a retry of that request while its key is kept and the secret
 * signs; no other answer does. A previous secret signs until the next rotation: the receiver decides which secret it
 * accepts. The secret is stored in the endpoint's row alone: the recorded answer has its hash instead.
 */
async function setEndpoint(deps: PaymentDeps, call: Call, asked: NewWebhookEndpoint): Promise<Guarded<never>> {
  const result = await recordEndpoint(deps, call, asked)
  return result.kind === 'answered' ? { ...result, answer: await showSecret(deps, call, result.answer) } : result
}

function recordEndpoint(
  { layers, renderings }: PaymentDeps,
  call: Call,
  { url, rotateSecret }: NewWebhookEndpoint,
): Promise<Guarded<never>> {
  return guardTransaction(layers, call, {
    lockOn: unlocked,
    work: async (tx) => {
      const fresh = newSecret()
      const [row] = await tx.writeReturning<WebhookEndpoint & { readonly secret: string; readonly isNew: boolean }>(sql`
        INSERT INTO webhook_endpoints AS known (account_id, url, secret)
        VALUES (${call.accountId}::uuid, ${url}, ${fresh})
        ON CONFLICT (account_id) DO UPDATE
           SET url = excluded.url, updated_at = clock_timestamp(),
               secret = CASE WHEN ${rotateSecret} THEN excluded.secret ELSE known.secret END,
               previous_secret = CASE WHEN ${rotateSecret} THEN known.secret ELSE known.previous_secret END
        RETURNING url, secret, xmax = 0 AS is_new, created_at, updated_at`)
      if (!row) throw new Error('an endpoint was neither inserted nor updated')
      const { secret, isNew, ...endpoint } = row
      const shown = secret === fresh ? hashOf(secret) : null
      return { kind: 'done', answer: renderings.webhookEndpointSet(endpoint, { secret: shown, isNew }) }
    },
  })
}

/**
 * Puts the secret of the endpoint into an answer in the place of its hash. Null: the secret was rotated twice since, so
 * it signs no more.
 */
async function showSecret(
  { database }: PaymentDeps,
  { accountId }: Call,
  answer: RecordedAnswer,
): Promise<RecordedAnswer> {
  const body: { readonly secret: string | null } = JSON.parse(answer.body)
  // An answer that an earlier version recorded has the secret itself.
  if (!body.secret?.startsWith(hashPrefix)) return answer
  const [known] = await database.query<{ secret: string; previousSecret: string | null }>(sql`
    SELECT secret, previous_secret FROM webhook_endpoints WHERE account_id = ${accountId}::uuid`)
  const secrets = [known?.secret ?? null, known?.previousSecret ?? null]
  const secret = secrets.find((one) => one !== null && hashOf(one) === body.secret) ?? null
  // A secret has no character that JSON escapes, and its place in the body stays, so the bytes are those of the first.
  return { ...answer, body: JSON.stringify({ ...body, secret }) }
}

const hashPrefix = 'sha256:'

/** The secret is 32 random bytes, so its hash tells nothing about it. */
function hashOf(secret: string): string {
  return hashPrefix + createHash('sha256').update(secret).digest('hex')
}

/**
 * In the form of Standard Webhooks, which asks for 24 to 64 bytes. 32 is the length of the signature's hash.
 *
 * From the system's cryptographic source, not from the runtime: a secret must not be predictable.
 */
function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

function findEndpoint({ database }: PaymentDeps, accountId: string): Promise<WebhookEndpoint | null> {
  const select = { url: true, createdAt: true, updatedAt: true }
  return database.statement((client) => client.webhookEndpoint.findUnique({ where: { accountId }, select }))
}

/** The domain's `WebhookDelivery`. */
const deliveryColumns = sql`
  id, topic, subject_id,
  CASE WHEN dead_at IS NOT NULL THEN 'dead' WHEN published_at IS NOT NULL THEN 'delivered' ELSE 'pending' END AS state,
  attempts, last_error, created_at, published_at AS delivered_at, dead_at,
  CASE WHEN dead_at IS NULL AND published_at IS NULL THEN next_attempt_at END AS next_attempt_at`

const isIn: Readonly<Record<WebhookDeliveryState, Sql>> = {
  pending: sql`AND published_at IS NULL AND dead_at IS NULL`,
  delivered: sql`AND published_at IS NOT NULL`,
  dead: sql`AND dead_at IS NOT NULL`,
}

async function listDeliveries(
  { database }: PaymentDeps,
  accountId: string,
  { limit, after, state }: DeliveryPage,
): Promise<Listed<WebhookDelivery>> {
  const rows = await database.query<WebhookDelivery>(sql`
    SELECT ${deliveryColumns} FROM outbox
     WHERE account_id = ${accountId}::uuid AND channel = 'webhook' ${state ? isIn[state] : empty}
       ${after ? sql`AND id < ${after}::uuid` : empty}
     ORDER BY id DESC LIMIT ${limit + 1}`)
  return listed(rows, limit)
}

/**
 * Makes a delivery due again that was given up. It keeps its id, by which the receiver recognizes a copy, and may be
 * tried as often as a new one. Of two replays at once one happens, because the first locks the row; a delivery that a
 * relay is sending is not dead.
 */
function replayDelivery({ layers, renderings }: PaymentDeps, call: Call, deliveryId: string): Promise<Guarded<never>> {
  return guardTransaction(layers, call, {
    lockOn: unlocked,
    work: async (tx) => {
      const [found] = await tx.read<WebhookDelivery & { readonly now: Date }>(sql`
        SELECT ${deliveryColumns}, clock_timestamp() AS now FROM outbox
         WHERE id = ${deliveryId}::uuid AND account_id = ${call.accountId}::uuid AND channel = 'webhook'
           FOR NO KEY UPDATE`)
      if (!found) return { kind: 'refused', refusal: { code: 'webhook-delivery-not-found', deliveryId } }
      const { now, ...delivery } = found
      if (delivery.state !== 'dead')
        return { kind: 'refused', refusal: { code: 'webhook-delivery-not-dead', deliveryId } }
      tx.write(sql`
        UPDATE outbox
           SET dead_at = NULL, attempts = 0, generation = generation + 1, next_attempt_at = ${now}::timestamptz
         WHERE id = ${deliveryId}::uuid`)
      const replayed = { ...delivery, state: 'pending', attempts: 0, deadAt: null, nextAttemptAt: now } as const
      return { kind: 'done', answer: renderings.webhookDeliveryReplayed(replayed) }
    },
  })
}
