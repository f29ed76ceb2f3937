import { randomBytes } from 'node:crypto'
import { Client } from 'pg'

export interface FreshDatabase {
  readonly name: string
  readonly url: string
  /**
   * Drops the database. Throws if a connection to it is still open: a client, pool or transaction outlives its test.
   * The database is gone in either case.
   */
  close(): Promise<void>
}

export interface FreshDatabaseOptions {
  /** The database to clone. `template0` is an empty one. */
  readonly template?: string
  /** Any other database of the server to use: a template that has connections cannot be cloned. */
  readonly maintenanceUrl?: string | undefined
  /** How long `close` waits for connections that are just closing. */
  readonly leakGraceMs?: number
}

/**
 * A backend needs a moment to notice that its client has gone, and seconds on a machine that is busy with other tests.
 * One that is still there after this was not closed. A shorter grace would end closing pools with an error that nothing
 * handles, because the driver's `pool.end()` resolves before its connections are closed.
 */
const defaultLeakGraceMs = 20_000

/** A new database with the whole schema in it, in some 30 ms: a clone of the template that the set-up migrated. */
export async function freshDatabase({
  template = 'seatbelt_template',
  maintenanceUrl = process.env.TEST_DATABASE_URL,
  leakGraceMs = defaultLeakGraceMs,
}: FreshDatabaseOptions = {}): Promise<FreshDatabase> {
  if (maintenanceUrl === undefined) {
    throw new Error('TEST_DATABASE_URL is not set: run the tests with `npm test`, which starts a PostgreSQL for them')
  }
  const name = `seatbelt_test_${process.pid}_${randomBytes(6).toString('hex')}`
  await onMaintenance(maintenanceUrl, (client) =>
    client.query(`CREATE DATABASE ${quoted(name)} TEMPLATE ${quoted(template)}`),
  )
  return {
    name,
    url: withDatabase(maintenanceUrl, name),
    close: () => onMaintenance(maintenanceUrl, (client) => dropAndTell(client, name, leakGraceMs)),
  }
}

async function dropAndTell(client: Client, name: string, leakGraceMs: number): Promise<void> {
  const leaked = await connectionsAfterGrace(client, name, leakGraceMs)
  const prepared = await client.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = $1', [name])
  await client.query(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`)
  const leaks = [...leaked, ...prepared.rows.map(({ gid }) => `prepared transaction ${gid}`)]
  if (leaks.length > 0) throw new Error(`left open on ${name}:\n  ${leaks.join('\n  ')}`)
}

async function connectionsAfterGrace(client: Client, name: string, leakGraceMs: number): Promise<string[]> {
  const deadline = performance.now() + leakGraceMs
  for (;;) {
    const open = await connectionsTo(client, name)
    if (open.length === 0 || performance.now() >= deadline) return open
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Who, since when, and what they did last: enough to find the line that did not close. */
async function connectionsTo(client: Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(
    `SELECT format('pid %s, application %L, %s for %s ms, last statement: %s', pid, application_name, coalesce(state, '?'),
                   round(1000 * extract(epoch from clock_timestamp() - coalesce(state_change, backend_start))),
                   left(regexp_replace(query, '\\s+', ' ', 'g'), 200)) AS line
     FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    [name],
  )
  return rows.map(({ line }) => line)
}

async function onMaintenance<T>(url: string, work: (client: Client) => Promise<T>): Promise<void> {
  const client = new Client({ connectionString: url, application_name: 'seatbelt-fresh-database' })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`
}
