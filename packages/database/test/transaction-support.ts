import { randomUUID } from 'node:crypto'
import { eventually, freshDatabase, patienceMs, startTcpProxy, type TcpProxy } from '@seatbelt/testing'
import pg from 'pg'
import { createDatabase, type Database, type DatabaseOptions, type Sql, sql, type Tx } from '../src/index.ts'

/** One database behind a proxy, with a connection beside the proxy that sees what is committed. */
export interface Bench {
  readonly url: string
  readonly proxy: TcpProxy
  readonly witness: pg.Client
  /** Opens a pool through the proxy. It is closed with the bench. */
  open(options?: Partial<DatabaseOptions>): Database
  names(): Promise<string[]>
  /** Ends the sessions of the pools, as an administrator would. */
  terminateSessions(): Promise<void>
  /** Resolves when no session of the pools is open on the server, so that what they left is decided. */
  sessionsEnd(): Promise<void>
  close(): Promise<void>
}

const applicationName = 'transaction-bench'

const sessions = 'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1'

export async function startBench(): Promise<Bench> {
  const fresh = await freshDatabase()
  const { hostname: host, port } = new URL(fresh.url)
  const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
  const witness = new pg.Client({ connectionString: fresh.url })
  await witness.connect()
  const opened: Database[] = []
  return {
    url: fresh.url,
    proxy,
    witness,
    open(options = {}) {
      const database = createDatabase({
        url: proxy.through(fresh.url),
        poolSize: 1,
        applicationName,
        connectTimeoutMs: patienceMs,
        ...options,
      })
      opened.push(database)
      return database
    },
    async names() {
      const { rows } = await witness.query<{ name: string }>('SELECT name FROM accounts ORDER BY name')
      return rows.map(({ name }) => name)
    },
    async terminateSessions() {
      await witness.query(`SELECT pg_terminate_backend(pid, 2000) FROM (${sessions}) AS open`, [applicationName])
    },
    async sessionsEnd() {
      await eventually('the sessions have ended', async () => {
        const { rows } = await witness.query(sessions, [applicationName])
        return rows.length === 0
      })
    },
    async close() {
      for (const database of opened) await database.close()
      await witness.end()
      await proxy.close()
      await fresh.close()
    },
  }
}

export function insertAccount(name: string, id: string = randomUUID()): Sql {
  return sql`INSERT INTO accounts (id, name) VALUES (${id}::uuid, ${name})`
}

export function guard(holds: boolean, name: string): Sql {
  return sql`SELECT guard(${holds}, ${name})`
}

/** A transaction of every kind of message: BEGIN, a lock, a read, a write, a guarded write, COMMIT. */
export async function lockReadAndWrite(tx: Tx, name: string): Promise<string> {
  void tx.read(sql`SELECT pg_advisory_xact_lock(${1})::text`)
  const [row] = await tx.read<{ accounts: number }>(sql`SELECT count(*)::int AS accounts FROM accounts`)
  tx.write(insertAccount(name))
  tx.write(guard(row !== undefined, 'read-a-row'))
  return name
}
