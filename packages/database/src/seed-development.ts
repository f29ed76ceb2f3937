import { createHash } from 'node:crypto'
import type { Database } from './database.ts'
import { sql } from './sql.ts'

const developmentKeyPrefix = 'sb_dev_only_'

/**
 * The accounts that a development stack starts with. Their keys are public, as their prefix shows. Authentication
 * rejects keys with this prefix in production, unless SEATBELT_DEMO_KEYS accepts them.
 */
export const developmentAccounts = [
  {
    id: '0192f000-0000-7000-8000-000000000001',
    name: 'Development shop',
    apiKey: `${developmentKeyPrefix}0000000000000000`,
  },
  {
    id: '0192f000-0000-7000-8000-000000000002',
    name: 'Another development shop',
    apiKey: `${developmentKeyPrefix}1111111111111111`,
  },
] as const

/** May be run again and again, also by several processes at once. */
export async function seedDevelopment(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    for (const { id, name, apiKey } of developmentAccounts) {
      const hash = createHash('sha256').update(apiKey).digest()
      tx.write(sql`INSERT INTO accounts (id, name) VALUES (${id}::uuid, ${name}) ON CONFLICT DO NOTHING`)
      tx.write(sql`
        INSERT INTO api_keys (key_sha256, account_id, name) VALUES (${hash}, ${id}::uuid, 'development')
        ON CONFLICT DO NOTHING`)
    }
  })
}
