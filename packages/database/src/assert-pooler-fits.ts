import pg from 'pg'
import { serverBoundsMs } from './connection.ts'

/** Why transactions would not be safe over this connection, in one line that says what to do. */
export class PoolerRefused extends Error {
  readonly code = 'pooler-refused'
}

/**
 * Resolves when the server keeps the bounds of our transactions and, with `prepared`, our prepared statements.
 *
 * A pooler such as PgBouncer may stand before it. To be called at the start, after `assertMigrated`.
 * Does not guarantee: that the pooler stays as it is.
 * Fails with: `PoolerRefused`, or with the driver's error where the database cannot be reached.
 */
export async function assertPoolerFits(url: string, { prepared }: { readonly prepared: boolean }): Promise<void> {
  const server = serverOf(url)
  if (prepared) await assertNamesLast(url, server)
  await onSession(url, { prepared, server }, async (session) => {
    const { rows } = await session.query<{ role: string; missing: Bound[] }>(
      `SELECT current_user AS role,
              ARRAY(SELECT name FROM pg_settings WHERE name = ANY ($1) AND setting = '0' ORDER BY name) AS missing`,
      [bounds],
    )
    const { role, missing } = rows[0] ?? { role: '', missing: bounds }
    if (missing.length === 0) return
    const remedy = `run ${alterRole(role, missing)} and reconnect the pooler`
    throw new PoolerRefused(`the role ${role} has no ${missing.join(', ')} at ${server}: ${remedy}`)
  })
}

type Bound = keyof typeof serverBoundsMs
const bounds = Object.keys(serverBoundsMs) as Bound[]

/** Most sessions that the search opens, one after another. A pooler with fewer server processes repeats one of them. */
const mostSessions = 100
/** SQLSTATEs of a statement that another session has prepared already, or that is not prepared any more. */
const lostNames = new Set(['42P05', '26000'])

/**
 * Prepares one statement in several sessions, one after another, until one of them prepares it in a server process that
 * has had it before.
 *
 * Sessions without a pooler never share a process. A pooler that tracks prepared statements, or that resets a process
 * between sessions, makes the repetition work. With any other pooler the name is taken.
 */
async function assertNamesLast(url: string, server: string): Promise<void> {
  const processes = new Set<number>()
  for (let sessions = 1; sessions <= mostSessions; sessions++) {
    const use = await onSession(url, { prepared: true, server }, (session) => useName(session, server))
    if (processes.has(use.preparedIn) || (!use.isPooled && sessions > 1)) return
    processes.add(use.preparedIn)
    processes.add(use.executedIn)
  }
}

interface NameUse {
  readonly preparedIn: number
  readonly executedIn: number
  /** Another process answers than the one that the connection began with. */
  readonly isPooled: boolean
}

async function useName(session: pg.Client, server: string): Promise<NameUse> {
  const statement = { name: 'seatbelt-probe', text: 'SELECT pg_backend_pid() AS pid' }
  const { processID } = session as unknown as { readonly processID: number }
  const run = async () => (await session.query<{ pid: number }>(statement)).rows[0]?.pid ?? 0
  try {
    const preparedIn = await run()
    return { preparedIn, executedIn: await run(), isPooled: preparedIn !== processID }
  } catch (error) {
    if (!lostNames.has(String((error as { code?: unknown }).code))) throw error
    throw new PoolerRefused(
      `the pooler at ${server} loses prepared statements: set DATABASE_PREPARED=off, or use a pooler that tracks them`,
    )
  }
}

async function onSession<T>(
  url: string,
  { prepared, server }: { readonly prepared: boolean; readonly server: string },
  use: (session: pg.Client) => Promise<T>,
): Promise<T> {
  const session = new pg.Client({
    connectionString: url,
    application_name: 'seatbelt-assert-pooler',
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
    ...(prepared ? serverBoundsMs : {}),
  })
  // The error of a connection that breaks also rejects its query.
  session.on('error', () => undefined)
  try {
    await session.connect()
    return await use(session)
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('unsupported startup parameter'))) throw error
    const remedy = `set DATABASE_PREPARED=off, and run ${alterRole(roleOf(url), bounds)}`
    throw new PoolerRefused(`the pooler at ${server} refuses start-up parameters: ${remedy}`)
  } finally {
    await session.end()
  }
}

function alterRole(role: string, missing: readonly Bound[]): string {
  return missing.map((bound) => `ALTER ROLE "${role}" SET ${bound} = '${serverBoundsMs[bound]}ms'`).join('; ')
}

function serverOf(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname}:${port || 5432}`
}

function roleOf(url: string): string {
  return decodeURIComponent(new URL(url).username)
}
