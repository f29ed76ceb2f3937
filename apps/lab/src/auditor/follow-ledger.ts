import { z } from 'zod'
import type { LedgerEntry } from './evidence.ts'
import { IncompleteRead } from './incomplete-read.ts'

export interface LedgerFollower {
  /** All that was read so far, oldest first. */
  readonly entries: readonly LedgerEntry[]
  /** Reads on to the present end. Resolves with how many entries were new. @throws IncompleteRead */
  catchUp(): Promise<number>
}

/** The gateway's largest page. */
const pageLimit = 1_000
/** A page of a thousand lines takes milliseconds; a gateway that takes longer than this is not well. */
const pageTimeoutMs = 10_000
/** More than twice what the gateway itself can hold. */
const entriesLimit = 1_000_000

const pageSchema = z.object({
  entries: z.array(
    z.object({
      seq: z.number().int(),
      type: z.string(),
      intentId: z.string(),
      chargeId: z.string().nullable(),
      refundId: z.string().nullable(),
      refundStatus: z.string().nullable(),
      disputeId: z.string().nullable().default(null),
      disputeStatus: z.string().nullable().default(null),
      amountMinor: z.number().int(),
      currency: z.string(),
      customerId: z.string().nullable(),
      metadata: z.record(z.string(), z.string()),
      actor: z.string().nullable().default(null),
    }),
  ),
  nextAfterSeq: z.number().int().nullable(),
})

type Page = z.infer<typeof pageSchema>

/** Reads the gateway's ledger page by page. Sequence numbers have no gaps: where one is missing, the read is incomplete. */
export function followLedger(gatewayUrl: string): LedgerFollower {
  const entries: LedgerEntry[] = []

  return {
    entries,
    async catchUp() {
      const known = entries.length
      for (;;) {
        const page = await readPage(gatewayUrl, entries.length)
        for (const entry of page.entries) {
          if (entry.seq !== entries.length + 1) {
            throw new IncompleteRead(`the gateway's ledger has entry ${entry.seq} after entry ${entries.length}`)
          }
          if (entries.length === entriesLimit) throw new IncompleteRead(`the ledger has over ${entriesLimit} entries`)
          entries.push(toLedgerEntry(entry))
        }
        if (page.nextAfterSeq === null || page.entries.length === 0) return entries.length - known
      }
    },
  }
}

async function readPage(gatewayUrl: string, afterSeq: number): Promise<Page> {
  const url = `${gatewayUrl}/_ledger?afterSeq=${afterSeq}&limit=${pageLimit}`
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(pageTimeoutMs) })
    if (!response.ok) throw new Error(`the gateway answered ${response.status}`)
    return pageSchema.parse(await response.json())
  } catch (cause) {
    throw new IncompleteRead("the gateway's ledger could not be read", { cause })
  }
}

function toLedgerEntry(entry: Page['entries'][number]): LedgerEntry {
  return {
    seq: entry.seq,
    type: entry.type,
    intentId: entry.intentId,
    chargeId: entry.chargeId,
    refundId: entry.refundId,
    refundStatus: entry.refundStatus,
    disputeId: entry.disputeId,
    disputeStatus: entry.disputeStatus,
    amountMinor: entry.amountMinor,
    currency: entry.currency.toUpperCase(),
    orderId: entry.metadata.orderId ?? null,
    paymentId: entry.metadata.paymentId ?? null,
    ourRefundId: entry.metadata.refundId ?? null,
    customerId: entry.customerId,
    isByConsole: entry.actor === 'console',
  }
}

const webhooksSchema = z.object({ owed: z.number().int() })

/** How many events the gateway still has to tell us of: what it says then can move our books. @throws IncompleteRead */
export async function countOwedEvents(gatewayUrl: string): Promise<number> {
  try {
    const response = await fetch(`${gatewayUrl}/_control/webhooks`, { signal: AbortSignal.timeout(pageTimeoutMs) })
    if (!response.ok) throw new Error(`the gateway answered ${response.status}`)
    return webhooksSchema.parse(await response.json()).owed
  } catch (cause) {
    throw new IncompleteRead('the gateway did not say which events it owes', { cause })
  }
}
