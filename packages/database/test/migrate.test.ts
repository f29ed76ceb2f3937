import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshDatabase } from '@seatbelt/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate, migrationsDirectory } from '../src/index.ts'

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

const first = '20261120000000_payments'

async function query<T extends object>(sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: fresh.url })
  await client.connect()
  const { rows } = await client.query<T>(sql)
  await client.end()
  return rows
}

describe('migrate', () => {
  it('brings an empty database up, once, however many processes start at the same time', async () => {
    const all = await migrationNames()
    const applied = await Promise.all([1, 2, 3].map(() => migrate(fresh.url, folder)))
    expect(applied.flat()).toEqual(all)
    expect(await query('SELECT migration_name, applied_steps_count FROM _prisma_migrations ORDER BY 1')).toEqual(
      all.map((name) => ({ migration_name: name, applied_steps_count: 1 })),
    )
  })

  it('leaves nothing of a migration that fails, and says which', async () => {
    await writeMigration('20990101000000_bad', 'CREATE TABLE half (id int); SELECT 1 / 0;')
    await expect(migrate(fresh.url, folder)).rejects.toThrow('20990101000000_bad failed')
    expect(await query("SELECT to_regclass('half') AS half")).toEqual([{ half: null }])
  })

  it('refuses a database whose migrations it does not know, or knows differently', async () => {
    await migrate(fresh.url, folder)
    await writeFile(join(folder, first, 'migration.sql'), '-- changed')
    await expect(migrate(fresh.url, folder)).rejects.toMatchObject({ code: 'migration-refused' })
    await rm(join(folder, first), { recursive: true })
    await expect(migrate(fresh.url, folder)).rejects.toThrow('run a newer one')
  })

  it('refuses a database that another tool left half migrated', async () => {
    await migrate(fresh.url, folder)
    await query('UPDATE _prisma_migrations SET finished_at = NULL')
    await expect(migrate(fresh.url, folder)).rejects.toThrow('left unfinished')
  })
})

describe('a role that owns the database and is no superuser', () => {
  const role = `seatbelt_migrating_${process.pid}`
  let admin: pg.Client
  let url: string
  beforeEach(async () => {
    const server = new URL(fresh.url)
    const database = server.pathname.slice(1)
    server.pathname = '/postgres'
    admin = new pg.Client({ connectionString: server.href })
    await admin.connect()
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    await admin.query(`ALTER DATABASE ${database} OWNER TO ${role}`)
    const own = new URL(fresh.url)
    own.username = role
    own.password = 'secret'
    url = own.href
  })
  afterEach(async () => {
    await fresh.close()
    await admin.query(`DROP ROLE ${role}`)
    await admin.end()
  })
  const seesStandbys = async () => {
    const sql = `SELECT pg_has_role('${role}', 'pg_read_all_stats', 'USAGE') AS sees`
    return (await admin.query<{ sees: boolean }>(sql)).rows[0]?.sees
  }

  it('gives itself the right to see the standbys where it may', async () => {
    await admin.query(`GRANT pg_read_all_stats TO ${role} WITH ADMIN TRUE, INHERIT FALSE`)
    await migrate(url, folder)
    expect(await seesStandbys()).toBe(true)
  })

  it('migrates without that right where it may not', async () => {
    await migrate(url, folder)
    expect(await seesStandbys()).toBe(false)
  })
})

async function migrationNames(): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
}

async function writeMigration(name: string, sql: string): Promise<void> {
  await cp(join(folder, first), join(folder, name), { recursive: true })
  await writeFile(join(folder, name, 'migration.sql'), sql)
}
