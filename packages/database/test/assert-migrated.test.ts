import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, freePort, freshDatabase, startTcpProxy } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { assertMigrated, migrate, migrationsDirectory, waitForDatabase } from '../src/index.ts'

let fresh: Awaited<ReturnType<typeof freshDatabase>>
let folder: string
beforeEach(async () => {
  fresh = await freshDatabase({ template: 'template0' })
  folder = await mkdtemp(join(tmpdir(), 'seatbelt-migrations-'))
  await cp(migrationsDirectory(), folder, { recursive: true })
})
afterEach(async () => {
  await fresh.close()
  await rm(folder, { recursive: true })
})

const newer = '20990101000000_newer'

/** As if a newer version had migrated the database. */
async function migrateFurther(script = 'CREATE TABLE newer (id int)'): Promise<void> {
  await cp(join(folder, '20261120000000_payments'), join(folder, newer), { recursive: true })
  await writeFile(join(folder, newer, 'migration.sql'), script)
  await migrate(fresh.url, folder)
}

function withPart(part: 'password' | 'pathname' | 'port', value: string): string {
  const url = new URL(fresh.url)
  url[part] = value
  return url.href
}

describe('assertMigrated', () => {
  it('lets a process start on the schema that it was built for', async () => {
    await migrate(fresh.url, folder)
    await assertMigrated(fresh.url, { waitMs: 0, directory: folder })
  })

  it('refuses an empty database, and leaves it empty', async () => {
    await expect(assertMigrated(fresh.url, { waitMs: 0, directory: folder })).rejects.toMatchObject({
      code: 'migration-refused',
      message: 'the database lacks the migration 20261120000000_payments: run the migrate step first',
    })
    const client = new pg.Client({ connectionString: fresh.url })
    await client.connect()
    const { rows } = await client.query("SELECT to_regclass('_prisma_migrations') AS history")
    await client.end()
    expect(rows).toEqual([{ history: null }])
  })

  it('refuses a database that a newer version has migrated', async () => {
    await migrateFurther()
    await rm(join(folder, newer), { recursive: true })
    await expect(assertMigrated(fresh.url, { waitMs: 0, directory: folder })).rejects.toMatchObject({
      code: 'migration-refused',
      message: `the database has the migration ${newer}, which this version lacks: run a newer one`,
    })
  })
})

it('a version starts, and migrates nothing, on the schema of a newer one whose migrations are additive', async () => {
  await migrateFurther('-- Additive\nCREATE TABLE newer (id int)')
  await rm(join(folder, newer), { recursive: true })
  await assertMigrated(fresh.url, { waitMs: 0, directory: folder })
  expect(await migrate(fresh.url, folder)).toEqual([])
})

describe('waitForDatabase', () => {
  it('waits for a server that comes up later', async () => {
    const { hostname: host, port } = new URL(fresh.url)
    const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
    proxy.refuse()
    let waited = false
    const waiting = waitForDatabase(proxy.through(fresh.url), 20_000).then(() => {
      waited = true
    })
    try {
      await expect(waitForDatabase(proxy.through(fresh.url), 0)).rejects.toMatchObject({ code: 'database-unavailable' })
      expect(waited).toBe(false)
      proxy.accept()
      await eventually('the database is there', () => waited)
    } finally {
      proxy.accept()
      await waiting
      await proxy.close()
    }
  })

  it('gives up in time, and says in one line which server, without its password', async () => {
    const url = withPart('port', String(await freePort()))
    const { hostname, port, pathname } = new URL(url)
    await expect(waitForDatabase(url, 500)).rejects.toMatchObject({
      code: 'database-unavailable',
      message: expect.stringMatching(
        `^the database ${hostname}:${port}${pathname} took no queries within 0.5 s: .*ECONNREFUSED.*$`,
      ),
    })
  })

  it('does not wait where waiting mends nothing', async () => {
    const startedAtMs = performance.now()
    await expect(waitForDatabase(withPart('pathname', '/nobody-made-it'), 60_000)).rejects.toThrow(
      /^the database \S+\/nobody-made-it refuses: database "nobody-made-it" does not exist$/,
    )
    expect(performance.now() - startedAtMs).toBeLessThan(10_000)
  })
})
