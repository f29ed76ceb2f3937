import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { DatabaseUnavailable } from './database-error.ts'

/** One try. A server that is there accepts in milliseconds; one that is behind a firewall never answers. */
const tryMs = 3_000
/** Between two tries: how much later than the database a process is ready at most. */
const pauseMs = 250

/**
 * Resolves when the database takes queries.
 *
 * It waits for a server that is not up yet, `waitMs` at most. It does not wait for one that refuses this user, password
 * or database, because waiting does not mend that.
 *
 * Fails with: `DatabaseUnavailable`, in one line that names the server without the password.
 */
export async function waitForDatabase(url: string, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs
  for (;;) {
    const problem = await tryToQuery(url)
    if (problem === null) return
    if (problem.lasting) throw new DatabaseUnavailable(`the database ${placeOf(url)} refuses: ${problem.why}`)
    if (performance.now() + pauseMs >= deadline) {
      const within = `within ${waitMs / 1_000} s`
      throw new DatabaseUnavailable(`the database ${placeOf(url)} took no queries ${within}: ${problem.why}`)
    }
    await pause(pauseMs)
  }
}

interface Problem {
  readonly why: string
  /** Waiting does not help. */
  readonly lasting: boolean
}

async function tryToQuery(url: string): Promise<Problem | null> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'seatbelt-wait',
    connectionTimeoutMillis: tryMs,
    query_timeout: tryMs,
  })
  // A connection that breaks while it is being closed has already told what was asked of it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('SELECT 1')
    await client.end()
    return null
  } catch (error) {
    // Not waited for: a server that hangs would not say goodbye either.
    void client.end().catch(() => undefined)
    return describeProblem(error)
  }
}

function describeProblem(error: unknown): Problem {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  // A name with several addresses fails with one error for all of them, which has a code and no message.
  const why = String(message || code).split('\n', 1)[0] ?? ''
  return { why, lasting: lastingStates.has(String(code)) }
}

/** SQLSTATEs of a server that is up and says no. */
const lastingStates = new Set([
  '28000', // invalid_authorization_specification: no such user, or pg_hba.conf refuses this address
  '28P01', // invalid_password
  '3D000', // invalid_catalog_name: no such database
  '42501', // insufficient_privilege: no right to connect
])

function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `${hostname}:${port || 5432}${pathname}`
}
