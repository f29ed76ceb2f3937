import type { Database } from '@seatbelt/database'
import type { AuthenticationOptions } from '@seatbelt/http'

/** The account of an API key, by its SHA-256. A revoked key is unknown. Fails with the faults of packages/database. */
export function findAccountByKeyHash(database: Database): AuthenticationOptions['findAccountByKeyHash'] {
  return (hash) =>
    database.statement((client) =>
      client.apiKey.findFirst({
        where: { keySha256: Uint8Array.from(hash), revokedAt: null },
        select: { accountId: true },
      }),
    )
}
