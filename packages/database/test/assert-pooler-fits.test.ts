import {
  type FreshDatabase,
  findPgBouncer,
  freshDatabase,
  type PgBouncer,
  startPgBouncer,
  startTcpProxy,
  unhurried,
} from '@seatbelt/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { assertMigrated, assertPoolerFits, createDatabase, sql } from '../src/index.ts'
import { guard, insertAccount } from './transaction-support.ts'

const binary = findPgBouncer() ?? ''
const on = { prepared: true }
const off = { prepared: false }

let fresh: FreshDatabase
let psql: pg.Client
let role: string
let bouncer: PgBouncer | undefined
beforeAll(async () => {
  fresh = await freshDatabase()
  psql = new pg.Client({ connectionString: fresh.url })
  await psql.connect()
  role = new URL(fresh.url).username
})
afterEach(async () => {
  await bouncer?.close()
  bouncer = undefined
  await psql.query(`ALTER ROLE "${role}" IN DATABASE "${fresh.name}" RESET ALL`)
})
afterAll(async () => {
  await psql?.end()
  await fresh?.close()
})

/**
 * As ALTER ROLE would, but for this database alone: other tests use the same role. So long that no statement runs into
 * a bound on a busy machine.
 */
async function setBounds(...names: string[]): Promise<void> {
  for (const name of names) await psql.query(`ALTER ROLE "${role}" IN DATABASE "${fresh.name}" SET ${name} = '60s'`)
}

const bounds = ['lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout']
const ignored = { ignore_startup_parameters: bounds.join(',') }

async function startBouncer(settings: Record<string, string | number> = {}): Promise<string> {
  bouncer = await startPgBouncer(binary, fresh.url, settings)
  return bouncer.url
}

describe('without a pooler', () => {
  it('names and bounds are those that the connection sets', async () => {
    await assertPoolerFits(fresh.url, on)
  })

  it("and without names, the bounds must be the role's", async () => {
    await setBounds('statement_timeout')
    const { host } = new URL(fresh.url)
    await expect(assertPoolerFits(fresh.url, off)).rejects.toMatchObject({
      code: 'pooler-refused',
      message:
        `the role ${role} has no idle_in_transaction_session_timeout, lock_timeout at ${host}: run ` +
        `ALTER ROLE "${role}" SET idle_in_transaction_session_timeout = '5000ms'; ` +
        `ALTER ROLE "${role}" SET lock_timeout = '2000ms' and reconnect the pooler`,
    })
    await setBounds(...bounds)
    await assertPoolerFits(fresh.url, off)
  })
})

describe.skipIf(binary === '')('behind PgBouncer 1.18 in transaction mode', () => {
  it('names are refused, with what to do, where it refuses start-up parameters', async () => {
    const url = await startBouncer({ default_pool_size: 4 })
    await expect(assertPoolerFits(url, on)).rejects.toMatchObject({
      code: 'pooler-refused',
      message: expect.stringMatching(
        /^the pooler at 127\.0\.0\.1:\d+ refuses start-up parameters: set DATABASE_PREPARED=off, and run ALTER ROLE .*$/,
      ),
    })
  })

  it('names make transactions fail, which is the hazard', async () => {
    const url = await startBouncer(ignored)
    const clients = [1, 2].map((n) =>
      createDatabase({ url, poolSize: 1, applicationName: `client-${n}`, ...on, ...unhurried }),
    )
    const outcomes = await Promise.allSettled(clients.map((client) => client.query(sql`SELECT ${1}::int AS n`)))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    for (const client of clients) await client.close()
  })

  it.each([1, 4])('names are refused, with what to do, where it loses them (%i server connections)', async (size) => {
    await setBounds(...bounds)
    const url = await startBouncer({ ...ignored, default_pool_size: size })
    await expect(assertPoolerFits(url, on)).rejects.toMatchObject({
      code: 'pooler-refused',
      message: expect.stringMatching(
        /^the pooler at 127\.0\.0\.1:\d+ loses prepared statements: set DATABASE_PREPARED=off, or .*$/,
      ),
    })
  })

  it('names are refused also where two sessions get along by luck', async () => {
    await setBounds(...bounds)
    const url = await startBouncer({ ...ignored, default_pool_size: 2 })
    const { hostname: host, port } = new URL(url)
    const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    // The second session prepares in a process of its own, and then executes in that of the first.
    const prepares = proxy.intercept({ matches: ({ kind }) => kind === 'parse', nth: 2, at: 'request' })
    const executes = proxy.intercept({ matches: ({ kind }) => kind === 'bind', nth: 4, at: 'request' })
    const refused = expect(assertPoolerFits(proxy.through(url), on)).rejects.toThrow('loses prepared statements')
    await prepares.reached()
    await other.query('BEGIN')
    prepares.pass()
    await executes.reached()
    await other.query('COMMIT')
    executes.pass()
    await refused
    await other.end()
    await proxy.close()
  })

  it('names are refused also while other clients take turns with its connections', async () => {
    await setBounds(...bounds)
    const url = await startBouncer({ ...ignored, default_pool_size: 4 })
    const others = createDatabase({ url, poolSize: 8, applicationName: 'others', ...off, ...unhurried })
    let isOver = false
    const load = Array.from({ length: 8 }, async () => {
      while (!isOver) await others.query(sql`SELECT pg_sleep(0.001)`)
    })
    await expect(assertPoolerFits(url, on)).rejects.toThrow('loses prepared statements')
    isOver = true
    await Promise.all(load)
    await others.close()
  })

  it('names are refused also where it resets each connection after each transaction', async () => {
    await setBounds(...bounds)
    const url = await startBouncer({ ...ignored, server_reset_query: 'DISCARD ALL', server_reset_query_always: 1 })
    await expect(assertPoolerFits(url, on)).rejects.toThrow('loses prepared statements')
  })

  it('names that are off need the bounds of the role', async () => {
    const url = await startBouncer()
    await expect(assertPoolerFits(url, off)).rejects.toThrow(/has no .*lock_timeout.*: run ALTER ROLE/)
    await bouncer?.close()
    await setBounds(...bounds)
    const again = await startBouncer()
    await assertPoolerFits(again, off)
    await assertMigrated(again, { waitMs: 0 })
  })

  it('20 clients make 400 transactions over 4 server connections, with names off', async () => {
    await setBounds(...bounds)
    const url = await startBouncer({ default_pool_size: 4 })
    const clients = Array.from({ length: 20 }, (_, client) =>
      createDatabase({ url, poolSize: 2, applicationName: `client-${client}`, ...off, ...unhurried }),
    )
    const work = async (client: number) => {
      for (let nth = 0; nth < 20; nth++) {
        const name = `${client}-${nth}`
        await clients[client]?.transaction(async (tx) => {
          void tx.read(sql`SELECT pg_advisory_xact_lock(${nth % 5})::text`)
          const [row] = await tx.read<{ pid: number }>(sql`SELECT pg_backend_pid() AS pid`)
          const [same] = await tx.writeReturning<{ pid: number }>(sql`
            WITH inserted AS (${insertAccount(name)} RETURNING id) SELECT pg_backend_pid() AS pid FROM inserted`)
          tx.write(guard(row?.pid === same?.pid, 'one-server-connection'))
        })
        const [found] =
          (await clients[client]?.query<{ n: number }>(
            sql`SELECT count(*)::int AS n FROM accounts WHERE name = ${name}`,
          )) ?? []
        expect(found).toEqual({ n: 1 })
        expect(await clients[client]?.statement((prisma) => prisma.account.count({ where: { name } }))).toBe(1)
      }
    }
    await Promise.all(clients.map((_, client) => work(client)))
    const { rows } = await psql.query('SELECT count(*)::int AS n FROM accounts')
    expect(rows).toEqual([{ n: 400 }])
    for (const client of clients) await client.close()
  }, 240_000)
})

describe.skipIf(binary === '')('behind PgBouncer in session mode', () => {
  it('names last', async () => {
    await setBounds(...bounds)
    const url = await startBouncer({ ...ignored, pool_mode: 'session' })
    await assertPoolerFits(url, on)
  })
})
