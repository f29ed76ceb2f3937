import { createDatabase, migrate, seedDevelopment } from '@seatbelt/database'
import pg from 'pg'

/**
 * Makes an empty database into the control's: the schema of the same migrations, without its unique indexes, partial ones
 * included. Only primary keys stay, because without them there would be no rows to speak of; what an index carried
 * (foreign keys) goes with it. CHECKs and triggers stay, which makes the control safer than a tutorial's database.
 */
export async function prepareUnprotectedDatabase(url: string): Promise<void> {
  await migrate(url)
  await dropUniqueIndexes(url)
  const database = createDatabase({ url, poolSize: 1, applicationName: 'seatbelt-control-set-up' })
  try {
    await seedDevelopment(database)
  } finally {
    await database.close()
  }
}

async function dropUniqueIndexes(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'seatbelt-control-set-up',
    connectionTimeoutMillis: 5_000,
    // The tables are empty and nobody else is here; what takes longer than this hangs.
    statement_timeout: 30_000,
  })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT indexrelid::regclass::text AS name
         FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indisunique AND NOT indisprimary AND relnamespace = 'public'::regnamespace`,
    )
    // A schema that had none would make the control as safe as the real thing, and its silence a proof of nothing.
    if (rows.length === 0) throw new Error('the migrations made no unique index that the control could do without')
    for (const { name } of rows) await client.query(`DROP INDEX ${name} CASCADE`)
  } finally {
    await client.end()
  }
}
