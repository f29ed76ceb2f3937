import { createDatabase, migrate, seedDevelopment } from '@seatbelt/database'
import pg from 'pg'

/**
 * Makes an empty database into the control's: the schema of the same migrations, without its unique indexes, partial ones
 * included, and without what else keeps seats from being sold twice. Other primary keys stay, because without them there would
 * be no rows to speak of; what an index carried (foreign keys) goes with it. The CHECKs and triggers of payments stay, which makes
 * the control safer than a tutorial's database.
 */
export async function prepareUnprotectedDatabase(url: string): Promise<void> {
  await migrate(url)
  await dropConstraints(url)
  const database = createDatabase({ url, poolSize: 1, applicationName: 'seatbelt-control-set-up' })
  try {
    await seedDevelopment(database)
  } finally {
    await database.close()
  }
}

/** A tutorial's table of claims has an id of its own, its tiers have no bound, and nobody writes triggers. */
const seatProtections = [
  'ALTER TABLE seat_claims DROP CONSTRAINT seat_claims_pkey',
  'ALTER TABLE tiers DROP CONSTRAINT tiers_never_oversold',
  'DROP TRIGGER holds_final_stays_final ON holds',
  'DROP TRIGGER bookings_final_stays_final ON bookings',
  'DROP TRIGGER seat_claims_are_kept ON seat_claims',
  'DROP TRIGGER seat_claims_pinned_are_kept ON seat_claims',
]

async function dropConstraints(url: string): Promise<void> {
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
    // Each fails where the schema has another name for it: then the control would be protected unseen.
    for (const statement of seatProtections) await client.query(statement)
  } finally {
    await client.end()
  }
}
