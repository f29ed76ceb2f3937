import { createHash } from 'node:crypto'
import type { Database } from './database.ts'

/**
 * The accounts that a development stack starts with. Their keys are public, which their prefix says; authentication
 * refuses everything with this prefix in production, unless SEATBELT_DEMO_KEYS says that it is a demo.
 */
export const developmentKeyPrefix = 'sb_dev_only_'

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
    await tx.account.createMany({
      data: developmentAccounts.map(({ id, name }) => ({ id, name })),
      skipDuplicates: true,
    })
    await tx.apiKey.createMany({
      data: developmentAccounts.map(({ id, apiKey }) => ({
        keySha256: createHash('sha256').update(apiKey).digest(),
        accountId: id,
        name: 'development',
      })),
      skipDuplicates: true,
    })
  })
}
