import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { migrationsDirectory } from '@seatbelt/database'
import { freePort, freshDatabase } from '@seatbelt/testing'
import { build } from 'esbuild'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../../../..')

/** Three at once, on a machine that may be busy. */
const processMs = 25_000

const api = 'payments-api'
const worker = 'worker'
const migrate = 'migrate'

/** As bundles, because some twenty processes are started here; bundled once for all, which does not depend on an earlier build. */
let bundles: string
beforeAll(async () => {
  bundles = await mkdtemp(join(tmpdir(), 'seatbelt-bundles-'))
  await cp(join(root, 'prisma'), join(bundles, 'prisma'), { recursive: true })
  // Where a bundle looks for the pages of its documentation; nobody reads them here.
  await mkdir(join(bundles, 'docs'))
  await build({
    entryPoints: {
      [api]: 'apps/payments-api/src/main.ts',
      [worker]: 'apps/worker/src/main.ts',
      [migrate]: 'apps/worker/src/migrate/main.ts',
    },
    absWorkingDir: root,
    outdir: bundles,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: {
      js: "import { createRequire as bundledRequire } from 'node:module'; const require = bundledRequire(import.meta.url)",
    },
    external: ['pg-native'],
    logLevel: 'error',
  })
})
afterAll(() => rm(bundles, { recursive: true }))

let fresh: Awaited<ReturnType<typeof freshDatabase>>
beforeEach(async () => {
  fresh = await freshDatabase()
})
afterEach(() => fresh.close())

interface Ended {
  readonly program: string
  readonly code: number | null
  /** Everything that it printed, of lines of log their message. */
  readonly lines: readonly string[]
}

/** Runs each program to its end. It must end by itself. */
function runAll(programs: readonly string[], environment: Record<string, string>): Promise<Ended[]> {
  return Promise.all(programs.map((program) => run(program, environment)))
}

async function run(program: string, environment: Record<string, string>): Promise<Ended> {
  const child = spawn(process.execPath, [join(bundles, `${program}.mjs`)], {
    cwd: bundles,
    env: { PATH: process.env.PATH, PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: processMs,
    killSignal: 'SIGKILL',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data
    })
  }
  const [code] = await once(child, 'close')
  const lines = output.split('\n').filter((line) => line !== '')
  return { program, code, lines: lines.map((line) => (line.startsWith('{') ? JSON.parse(line).msg : line)) }
}

function goodEnvironment(): Record<string, string> {
  return {
    DATABASE_URL: fresh.url,
    DATABASE_WAIT_MS: '300',
    REDIS_URLS: 'redis://127.0.0.1:1',
    GATEWAY_URL: 'http://127.0.0.1:1',
    GATEWAY_API_KEY: 'sk_test_own',
  }
}

function elsewhere(port: number): string {
  const url = new URL(fresh.url)
  url.port = String(port)
  return url.href
}

async function query(sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}

/** One line, exit code 1. */
function refusedWith(line: RegExp) {
  return (programs: readonly string[]) =>
    programs.map((program) => ({ program, code: 1, lines: [expect.stringMatching(line)] }))
}

describe('payments-api, worker and migrate end with one line and exit code 1', { timeout: processMs + 5_000 }, () => {
  it('where a variable is missing', async () => {
    const all = [api, worker, migrate]
    const { DATABASE_URL: _, ...environment } = goodEnvironment()
    expect(await runAll(all, environment)).toEqual(refusedWith(/^DATABASE_URL is missing: the PostgreSQL/)(all))
  })

  it('where the database is not there', async () => {
    const all = [api, worker, migrate]
    const port = await freePort()
    const ended = await runAll(all, { ...goodEnvironment(), DATABASE_URL: elsewhere(port) })
    expect(ended).toEqual(refusedWith(new RegExp(`^cannot start: the database \\S+:${port}/\\S+ took no queries`))(all))
  })

  it('where the database has a newer schema', async () => {
    const all = [api, worker, migrate]
    await query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at)
       VALUES ('newer', 'newer', '20990101000000_newer', now())`,
    )
    const line = /^cannot start: the database has the migration 20990101000000_newer, which this version lacks/
    expect(await runAll(all, goodEnvironment())).toEqual(refusedWith(line)(all))
  })

  it('where nobody has migrated the database, but for migrate itself', async () => {
    await query('DROP TABLE _prisma_migrations')
    const line = /^cannot start: the database lacks the migration \S+: run the migrate step first$/
    expect(await runAll([api, worker], goodEnvironment())).toEqual(refusedWith(line)([api, worker]))
  })

  it('where the port is taken', async () => {
    const taker = createServer().listen(0, '127.0.0.1')
    await once(taker, 'listening')
    const { port } = taker.address() as { port: number }
    try {
      const ended = await runAll([api, worker], { ...goodEnvironment(), PORT: String(port), LOG_LEVEL: 'fatal' })
      expect(ended).toEqual(
        refusedWith(new RegExp(`^cannot listen on 127.0.0.1:${port}: the port is in use`))([api, worker]),
      )
    } finally {
      taker.close()
    }
  })

  const production = {
    NODE_ENV: 'production',
    SMTP_URL: 'smtp://127.0.0.1:25',
    MAIL_FROM: 'receipts@seatbelt.example',
    INSTALLATION: 'shop',
    GATEWAY_API_KEY: 'sk_test_of_our_own',
  }

  it("where the gateway's key is the published one, in production", async () => {
    const environment = { ...goodEnvironment(), ...production, GATEWAY_API_KEY: 'sk_test_dev_only' }
    const line = /^GATEWAY_API_KEY is wrong \(it is the simulator's published key.*SEATBELT_DEMO_KEYS=accept\)/
    expect(await runAll([api, worker], environment)).toEqual(refusedWith(line)([api, worker]))
  })

  it('where the installation has no name of its own, in production', async () => {
    const { INSTALLATION: _, ...unnamed } = production
    const ended = await runAll([api, worker], { ...goodEnvironment(), ...unnamed })
    expect(ended).toEqual(refusedWith(/^INSTALLATION is missing/)([api, worker]))
  })
})

describe('migrate', { timeout: processMs + 5_000 }, () => {
  it('says what it applied and ends with 0, and once more has nothing to do', async () => {
    const empty = await freshDatabase({ template: 'template0' })
    try {
      const environment = { ...goodEnvironment(), DATABASE_URL: empty.url, NODE_ENV: 'production' }
      const [first] = await runAll([migrate], environment)
      const applied = readdirSync(migrationsDirectory())
        .filter((name) => /^\d/.test(name))
        .sort()
      const lines = applied.map((name) => `applied the migration ${name}`)
      expect(first).toEqual({ program: migrate, code: 0, lines })
      const [second] = await runAll([migrate], environment)
      expect(second).toMatchObject({ code: 0, lines: ['the schema is up to date: nothing was applied'] })
    } finally {
      await empty.close()
    }
  })

  it.each(['development', 'production'])(
    'in %s adds accounts with published keys only when it is asked to',
    async (mode) => {
      const environment = { ...goodEnvironment(), NODE_ENV: mode }
      await runAll([migrate], environment)
      expect(await query('SELECT 1 FROM api_keys')).toHaveLength(0)
      const [asked] = await runAll([migrate], { ...environment, SEATBELT_DEMO_KEYS: 'accept' })
      expect(asked?.lines.at(-1)).toBe('the database has 2 development accounts, whose API keys are published')
      expect(await query('SELECT 1 FROM api_keys')).toHaveLength(2)
    },
  )
})
