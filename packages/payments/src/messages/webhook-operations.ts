import { randomBytes } from 'node:crypto'
import { type OutboxMessage, Prisma } from '@seatbelt/database'
import {
  inProgressRetryAfterSeconds,
  type WebhookDelivery,
  type WebhookDeliveryState,
  type WebhookEndpoint,
} from '@seatbelt/domain'
import { type Call, type Guarded, guardTransaction } from '@seatbelt/safety'
import { listed } from '../shared/listed.ts'
import type { Listed, Page } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** What an account does about its webhooks. */
export interface WebhookOperations {
  setEndpoint(call: Call, endpoint: NewWebhookEndpoint): Promise<Guarded<never>>
  findEndpoint(accountId: string): Promise<WebhookEndpoint | null>
  listDeliveries(accountId: string, page: DeliveryPage): Promise<Listed<WebhookDelivery>>
  replayDelivery(call: Call, deliveryId: string): Promise<Guarded<never>>
}

export interface NewWebhookEndpoint {
  readonly url: string
  /** Makes a new secret. The one before it signs as well until the next rotation. */
  readonly rotateSecret: boolean
}

export type DeliveryPage = Page & { readonly state: WebhookDeliveryState | null }

export function createWebhookOperations(deps: PaymentDeps): WebhookOperations {
  return {
    setEndpoint: (call, endpoint) => setEndpoint(deps, call, endpoint),
    findEndpoint: (accountId) => findEndpoint(deps, accountId),
    listDeliveries: (accountId, page) => listDeliveries(deps, accountId, page),
    replayDelivery: (call, deliveryId) => replayDelivery(deps, call, deliveryId),
  }
}

/** Nothing is locked: both commands are one statement, whose row keeps two of them apart. */
const unlocked = {
  resource: null,
  contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
} as const

/**
 * Creates the account's endpoint, or changes it; what waits to be sent goes to the new address.
 *
 * The secret is told when it is made, and not again, but for a retry of that very request while its key is kept. The previous
 * one has no date: it is the receiver who decides what he accepts, and a signature more helps nobody else.
 */
function setEndpoint(
  { layers, renderings }: PaymentDeps,
  call: Call,
  { url, rotateSecret }: NewWebhookEndpoint,
): Promise<Guarded<never>> {
  return guardTransaction(layers, call, {
    ...unlocked,
    work: async (tx) => {
      const fresh = newSecret()
      const [row] = await tx.$queryRaw<(WebhookEndpoint & { readonly secret: string; readonly isNew: boolean })[]>`
        INSERT INTO webhook_endpoints AS known (account_id, url, secret) VALUES (${call.accountId}::uuid, ${url}, ${fresh})
        ON CONFLICT (account_id) DO UPDATE
           SET url = excluded.url, updated_at = clock_timestamp(),
               secret = CASE WHEN ${rotateSecret} THEN excluded.secret ELSE known.secret END,
               previous_secret = CASE WHEN ${rotateSecret} THEN known.secret ELSE known.previous_secret END
        RETURNING url, secret, xmax = 0 AS "isNew", created_at AS "createdAt", updated_at AS "updatedAt"`
      if (!row) throw new Error('an endpoint was neither inserted nor updated')
      const { secret, isNew, ...endpoint } = row
      const told = secret === fresh ? secret : null
      return { kind: 'done', answer: renderings.webhookEndpointSet(endpoint, { secret: told, isNew }) }
    },
  })
}

/** As Standard Webhooks writes one: 24 to 64 bytes. These are as many as the signature's hash has. */
function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

function findEndpoint({ database }: PaymentDeps, accountId: string): Promise<WebhookEndpoint | null> {
  const select = { url: true, createdAt: true, updatedAt: true }
  return database.statement((client) => client.webhookEndpoint.findUnique({ where: { accountId }, select }))
}

async function listDeliveries(
  { database }: PaymentDeps,
  accountId: string,
  { limit, after, state }: DeliveryPage,
): Promise<Listed<WebhookDelivery>> {
  const rows = await database.statement((client) =>
    client.outboxMessage.findMany({
      where: { accountId, channel: 'webhook', ...(state && inState[state]), ...(after && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take: limit + 1,
    }),
  )
  return listed(rows.map(toDelivery), limit)
}

const inState = {
  pending: { publishedAt: null, deadAt: null },
  delivered: { publishedAt: { not: null } },
  dead: { deadAt: { not: null } },
} satisfies Record<WebhookDeliveryState, Prisma.OutboxMessageWhereInput>

/**
 * Has a delivery that was given up tried anew, with a full count of tries and under its old id: a receiver who had it after all
 * knows it. Compare-and-set: of two replays one happens, and what a relay has in hand is not dead.
 */
function replayDelivery({ layers, renderings }: PaymentDeps, call: Call, deliveryId: string): Promise<Guarded<never>> {
  return guardTransaction(layers, call, {
    ...unlocked,
    work: async (tx) => {
      const { accountId } = call
      const mine = Prisma.sql`id = ${deliveryId}::uuid AND account_id = ${accountId}::uuid AND channel = 'webhook'`
      const count = await tx.$executeRaw`
        UPDATE outbox SET dead_at = NULL, attempts = 0, generation = generation + 1, look_at = clock_timestamp()
         WHERE ${mine} AND dead_at IS NOT NULL AND leased_until IS NULL`
      const row = await tx.outboxMessage.findFirst({ where: { id: deliveryId, accountId, channel: 'webhook' } })
      if (!row) return { kind: 'refused', refusal: { code: 'webhook-delivery-not-found', deliveryId } }
      if (count === 0) return { kind: 'refused', refusal: { code: 'webhook-delivery-not-dead', deliveryId } }
      return { kind: 'done', answer: renderings.webhookDeliveryReplayed(toDelivery(row)) }
    },
  })
}

function toDelivery(row: OutboxMessage): WebhookDelivery {
  const state = row.deadAt ? 'dead' : row.publishedAt ? 'delivered' : 'pending'
  return {
    ...{ id: row.id, topic: row.topic, subjectId: row.subjectId, state, attempts: row.attempts },
    ...{ lastError: row.lastError, createdAt: row.createdAt, deliveredAt: row.publishedAt, deadAt: row.deadAt },
    nextAttemptAt: state === 'pending' ? row.lookAt : null,
  }
}
