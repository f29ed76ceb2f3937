import type { Database } from '@seatbelt/database'
import type { Gateway } from '@seatbelt/safety'
import { Client } from 'pg'
import type { ReplicaParts, Shop } from './shop.ts'

/** The tables that operations on money and seats write. */
const tables = [
  ...['orders', 'payments', 'payment_events', 'idempotency_keys', 'refunds', 'transfers', 'outbox', 'orphans'],
  ...['gateway_customers', 'subscriptions', 'invoices', 'billing_runs', 'gateway_events'],
  ...['holds', 'seat_claims', 'bookings', 'booked_seats', 'tiers'],
]

/**
 * Loses commits as an asynchronous standby does that is promoted, or a restore: any suffix of them. What was written
 * with a commit that is lost is gone, and what it had changed is as it was before.
 */
export interface CommitLog {
  /** Give them to `shop.replica`: each of its commits is recorded. */
  readonly parts: Pick<ReplicaParts, 'database'>
  /** How many commits were recorded so far. */
  count(): number
  /** Puts the database back to the state after so many commits. Later commits are recorded behind these. */
  keep(commits: number): Promise<void>
  close(): Promise<void>
}

export async function openCommitLog(shop: Pick<Shop, 'databaseUrl'>): Promise<CommitLog> {
  const client = new Client({ connectionString: shop.databaseUrl })
  await client.connect()
  const states = [await readAll(client)]
  const record = async () => {
    const state = await readAll(client)
    if (JSON.stringify(state) !== JSON.stringify(states.at(-1))) states.push(state)
  }
  return {
    parts: { database: (real) => recording(real, record) },
    count: () => states.length - 1,
    keep: async (commits) => {
      const state = states[commits]
      if (!state) throw new Error(`there were only ${states.length - 1} commits`)
      states.length = commits + 1
      await restore(client, state)
    },
    close: () => client.end(),
  }
}

function recording(real: Database, record: () => Promise<void>): Database {
  const recorded = async <T>(work: Promise<T>): Promise<T> => {
    const value = await work
    await record()
    return value
  }
  return {
    ...real,
    query: (statement) => recorded(real.query(statement)),
    transaction: (work) => recorded(real.transaction(work)),
  }
}

type State = readonly string[]

async function readAll(client: Client): Promise<State> {
  const columns = tables.map((table) => `(SELECT coalesce(json_agg(t ORDER BY t::text), '[]') FROM ${table} t)::text`)
  const { rows } = await client.query<{ state: string[] }>(`SELECT ARRAY[${columns.join(', ')}] AS state`)
  return rows[0]?.state ?? []
}

/** Triggers and foreign keys stay quiet, because no transaction writes this: it is what a server has after it. */
async function restore(client: Client, state: State): Promise<void> {
  await client.query('BEGIN')
  await client.query('SET LOCAL session_replication_role = replica')
  for (const [at, table] of tables.entries()) {
    await client.query(`DELETE FROM ${table}`)
    await client.query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1::json)`, [
      state[at],
    ])
  }
  await client.query('COMMIT')
}

/** Runs `then` after the gateway has done this, before the owner learns of it. Once. */
export function afterEffect(request: keyof Gateway, then: () => Promise<void>): Pick<ReplicaParts, 'gateway'> {
  let isDone = false
  return {
    gateway: (real) => ({
      ...real,
      [request]: async (...asked: unknown[]) => {
        const answer = await (real[request] as (...asked: unknown[]) => Promise<unknown>)(...asked)
        if (!isDone) {
          isDone = true
          await then()
        }
        return answer
      },
    }),
  }
}
