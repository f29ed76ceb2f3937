import type { Database } from './database.ts'

/** The account of an API key, by its SHA-256. A revoked key is unknown. Fails with `database-error.ts`. */
export function findAccountByKeyHash(
  database: Database,
): (hash: Uint8Array) => Promise<{ readonly accountId: string } | null> {
  return (hash) =>
    database.statement((client) =>
      client.apiKey.findFirst({
        where: { keySha256: Uint8Array.from(hash), revokedAt: null },
        select: { accountId: true },
      }),
    )
}
