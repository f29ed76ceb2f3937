import pg from 'pg'
import { MigrationRefused, migrationsDirectory, pendingMigrations, readApplied, readMigrations } from './migrate.ts'
import { waitForDatabase } from './wait-for-database.ts'

export interface AssertMigratedOptions {
  /** How long the database may take to come up. */
  readonly waitMs: number
  /** Default: the nearest `prisma/migrations` above this program. */
  readonly directory?: string
}

/**
 * Resolves when the database takes queries and has the schema that this program was built for.
 *
 * Every migration that is known here is applied, unchanged, and no other but additive ones of a newer version.
 * Guarantees: it changes nothing. A process that calls it first never serves requests against another schema.
 * Does not guarantee: anything about later. A database that is migrated under a running process is not noticed.
 * Fails with: `DatabaseUnavailable`, `MigrationRefused`; both in one line that says what to do, without the password.
 */
export async function assertMigrated(
  url: string,
  { waitMs, directory = migrationsDirectory() }: AssertMigratedOptions,
): Promise<void> {
  const migrations = await readMigrations(directory)
  await waitForDatabase(url, waitMs)
  const client = new pg.Client({
    connectionString: url,
    application_name: 'seatbelt-assert-migrated',
    connectionTimeoutMillis: 5_000,
    // A migration that is just being applied holds the table for milliseconds. PgBouncer refuses bounds of the server.
    query_timeout: 10_000,
  })
  await client.connect()
  try {
    const applied = (await hasHistory(client)) ? await readApplied(client) : []
    const [missing] = pendingMigrations(migrations, applied)
    if (missing)
      throw new MigrationRefused(`the database lacks the migration ${missing.name}: run the migrate step first`)
  } finally {
    await client.end()
  }
}

async function hasHistory(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    "SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found",
  )
  return rows[0]?.found === true
}
