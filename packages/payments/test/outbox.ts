import { randomUUID } from 'node:crypto'
import { createDatabase, type Database, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { type FreshDatabase, freshDatabase, openInspector, unhurried } from '@seatbelt/testing'
import {
  type Channel,
  createRelay,
  enqueueMessages,
  type Message,
  processRuntime,
  type RelayOptions,
  type RelayTimes,
  type Topic,
} from '../src/index.ts'

export const accountId = developmentAccounts[0].id
export const strangerId = developmentAccounts[1].id

/** Far longer than a busy machine takes for a statement, so that no test runs into it. */
export const times: RelayTimes = { sendDeadlineMs: 5_000, leaseMs: 60_000 }

type Send = (message: Message) => Promise<void>

/** A database with its outbox, without anything that charges. */
export interface Outbox {
  readonly fresh: FreshDatabase
  readonly database: Database
  sql<T extends object>(text: string, parameters?: unknown[]): Promise<T[]>
  /** An endpoint for webhooks, whose secret is `secretOf(account)`. */
  endpoint(url: string, account?: string): Promise<void>
  /** An order with an address for its receipts. */
  order(recipient?: string, account?: string): Promise<string>
  /** Writes the messages about a fact, as a settling commit does. */
  tell(fact: { topic?: Topic; subjectId?: string; orderId?: string; account?: string }): Promise<string>
  relay(channel: Channel, send: Send, parts?: Partial<RelayOptions>): ReturnType<typeof createRelay>
  /** As if so much time had passed since the messages were taken or postponed. */
  letTimePass(interval: string): Promise<void>
  rows(): Promise<OutboxRow[]>
  close(): Promise<void>
}

export interface OutboxRow {
  readonly id: string
  readonly channel: Channel
  readonly topic: Topic
  readonly recipient: string | null
  readonly payload: unknown
  readonly attempts: number
  readonly last_error: string | null
  readonly state: 'open' | 'leased' | 'sent' | 'dead'
}

export function secretOf(account: string): string {
  return `whsec_${Buffer.from(account.padEnd(32).slice(-32)).toString('base64')}`
}

export async function openOutbox(): Promise<Outbox> {
  const fresh = await freshDatabase()
  const database = createDatabase({ url: fresh.url, poolSize: 10, applicationName: 'outbox-test', ...unhurried })
  await seedDevelopment(database)
  const inspector = await openInspector(fresh.url)
  const { sql } = inspector
  return {
    fresh,
    database,
    sql,
    endpoint: async (url, account = accountId) => {
      await sql(
        `INSERT INTO webhook_endpoints (account_id, url, secret) VALUES ($1, $2, $3)
         ON CONFLICT (account_id) DO UPDATE SET url = excluded.url`,
        [account, url, secretOf(account)],
      )
    },
    order: async (recipient = 'ada@example.com', account = accountId) => {
      const id = randomUUID()
      await sql(
        `INSERT INTO orders (id, account_id, customer_id, amount_minor, currency, receipt_email) VALUES ($1, $2, 'c', 1999, 'EUR', $3)`,
        [id, account, recipient],
      )
      return id
    },
    tell: async ({ topic = 'payment.succeeded', subjectId = randomUUID(), orderId, account = accountId }) => {
      const receipt = orderId === undefined ? null : ({ orderId, amountMinor: 1_999, currency: 'EUR' } as const)
      const fact = { accountId: account, topic, subjectId, data: { id: subjectId }, receipt }
      await database.transaction(async (tx) => enqueueMessages({ runtime: processRuntime }, tx, fact))
      return subjectId
    },
    relay: (channel, send, parts) =>
      createRelay({
        database,
        runtime: processRuntime,
        channel,
        send,
        ...times,
        reportFault: () => undefined,
        ...parts,
      }),
    letTimePass: async (interval) => {
      await sql(
        `UPDATE outbox SET next_attempt_at = next_attempt_at - $1::interval, leased_until = leased_until - $1::interval`,
        [interval],
      )
    },
    rows: () =>
      sql<OutboxRow>(
        `SELECT id, channel, topic, recipient, payload, attempts, last_error,
                CASE WHEN published_at IS NOT NULL THEN 'sent' WHEN dead_at IS NOT NULL THEN 'dead'
                     WHEN leased_until IS NOT NULL THEN 'leased' ELSE 'open' END AS state
           FROM outbox ORDER BY created_at, channel`,
      ),
    close: async () => {
      await inspector.close()
      await database.close()
      await fresh.close()
    },
  }
}
