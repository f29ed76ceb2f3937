import { type Sql, sql, type Tx } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import type { PaymentDeps } from './payment-deps.ts'

/** Rows that a request creates and that may be paid for. */
export type Created = 'order' | 'hold' | 'subscription'

const tables: Readonly<Record<Created, Sql>> = {
  order: sql`orders`,
  hold: sql`holds`,
  subscription: sql`subscriptions`,
}

/**
 * How many uses of a key one read looks for. A key is free again a day after its answer, so nearly all have one use; a
 * client that sends one key every day for three years is found in three reads.
 */
const usesInOneRead = [4, 64, 1_024]

/**
 * Reads the gateway reference of what this request creates: the key's first use without a row.
 *
 * A creation that is repeated after its commit was lost has the reference of the lost row. It issues its first read
 * before it awaits anything, so that the read travels with others.
 */
export async function readCreationReference(
  { layers }: Pick<PaymentDeps, 'layers'>,
  tx: Tx,
  { accountId, key }: Pick<Call, 'accountId' | 'key'>,
  created: Created,
): Promise<string> {
  let earlier = 0
  for (const count of usesInOneRead) {
    const uses = Array.from({ length: count }, (_, at) =>
      layers.gatewayReference(created, accountId, key, earlier + at + 1),
    )
    const rows = await tx.read<{ used: string }>(sql`
      SELECT gateway_reference AS used FROM ${tables[created]} WHERE gateway_reference = ANY (${uses}::text[])`)
    const used = new Set(rows.map((row) => row.used))
    const free = uses.find((reference) => !used.has(reference))
    if (free !== undefined) return free
    earlier += count
  }
  throw new Error(`the key ${key} has created ${earlier} ${created}s: use a new one`)
}
