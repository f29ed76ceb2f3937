import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

/** Why the database cannot be brought to this code's schema, in one line that says what to do. */
export class MigrationRefused extends Error {
  readonly code = 'migration-refused'
}

interface Migration {
  readonly name: string
  readonly script: string
  readonly sha256: string
}

/**
 * Brings the database to the schema in `prisma/migrations` and returns the names of the migrations that it applied.
 *
 * Guarantees: each migration and its line in `_prisma_migrations` commit together or not at all; two runs at once wait
 * for each other; what it writes is what `prisma migrate deploy` would have written, so that either may be used next.
 * Does not guarantee anything about a database that the Prisma command line left half migrated: it refuses that one.
 * Fails with: `MigrationRefused` where an applied migration is unknown here (a newer schema) and not additive, differs,
 * or is unfinished.
 *
 * It is our own because the Prisma command line downloads an engine first, which a machine without that way cannot do.
 */
export async function migrate(url: string, directory: string = migrationsDirectory()): Promise<string[]> {
  const migrations = await readMigrations(directory)
  const client = new pg.Client({
    connectionString: url,
    application_name: 'seatbelt-migrate',
    // A database that does not answer within this time is not there. An error is better than a longer wait.
    connectionTimeoutMillis: 5_000,
    // Longest wait for another migration or a busy table, and longest single migration. Ours take milliseconds.
    lock_timeout: 30_000,
    statement_timeout: 120_000,
  })
  await client.connect()
  try {
    // The number is the one that Prisma's own engine locks, so that the two cannot run at once either.
    await client.query('SELECT pg_advisory_lock(72707369)')
    await client.query(migrationsTable)
    const pending = pendingMigrations(migrations, await readApplied(client))
    for (const migration of pending) await apply(client, migration)
    return pending.map((migration) => migration.name)
  } finally {
    await client.end()
  }
}

/** The nearest `prisma/migrations` above this file: beside the sources, above a bundle, and in the image. */
export function migrationsDirectory(from: string = dirname(fileURLToPath(import.meta.url))): string {
  const candidate = join(from, 'prisma', 'migrations')
  if (existsSync(candidate)) return candidate
  const parent = dirname(from)
  if (parent === from) throw new MigrationRefused('no folder prisma/migrations was found above this program')
  return migrationsDirectory(parent)
}

export async function readMigrations(directory: string): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return Promise.all(
    names.sort().map(async (name) => {
      const script = await readFile(join(directory, name, 'migration.sql'), 'utf8')
      return { name, script, sha256: createHash('sha256').update(script).digest('hex') }
    }),
  )
}

interface Applied {
  readonly name: string
  readonly sha256: string
  readonly finished: boolean
  readonly additive: boolean
}

/**
 * The first line of a migration that programs of the version before can run with: it adds what they neither read nor
 * must write. They start on its schema too, so that a rolling deployment, or the way back from it, needs no standstill.
 * Any other migration is refused by them.
 */
const additiveMark = /^-- Additive\b/
/** In Prisma's column for the logs of a migration, where its engine writes nothing about one that succeeded. */
const additiveLog = 'additive'

export async function readApplied(client: pg.Client): Promise<Applied[]> {
  const { rows } = await client.query<Applied>(
    `SELECT migration_name AS name, checksum AS sha256, finished_at IS NOT NULL AS finished,
            logs IS NOT DISTINCT FROM '${additiveLog}' AS additive
       FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  )
  return rows
}

/** Those that are still to be applied. @throws MigrationRefused where this code cannot bring the database up. */
export function pendingMigrations(migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.name, migration]))
  for (const { name, sha256, finished, additive } of applied) {
    const migration = known.get(name)
    if (!migration && additive && finished) continue
    if (!migration)
      throw new MigrationRefused(`the database has the migration ${name}, which this version lacks: run a newer one`)
    if (!finished)
      throw new MigrationRefused(`the migration ${name} was left unfinished: resolve it with "prisma migrate resolve"`)
    if (migration.sha256 !== sha256)
      throw new MigrationRefused(`the migration ${name} was changed after it had been applied: restore its file`)
  }
  const done = new Set(applied.map(({ name }) => name))
  return migrations.filter(({ name }) => !done.has(name))
}

/** One query, so that bodies quoted with `$$` stay whole. */
async function apply(client: pg.Client, { name, script, sha256 }: Migration): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(script)
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, logs, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, $4, now(), clock_timestamp(), 1)`,
      [randomUUID(), sha256, name, additiveMark.test(script) ? additiveLog : null],
    )
    await client.query('COMMIT')
  } catch (cause) {
    // The connection is closed by the caller in any case; a failed rollback would only hide why.
    await client.query('ROLLBACK').catch(() => undefined)
    throw new Error(`migration ${name} failed and was rolled back`, { cause })
  }
}

/** As Prisma's engine creates it. */
const migrationsTable = `
CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id                  varchar(36) PRIMARY KEY NOT NULL,
  checksum            varchar(64) NOT NULL,
  finished_at         timestamptz,
  migration_name      varchar(255) NOT NULL,
  logs                text,
  rolled_back_at      timestamptz,
  started_at          timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0
)`
