import type { Circumstances } from './endpoint.ts'
import { draftEntry, type EntryDraft, type LedgerEntryType } from './facts.ts'
import type { PaymentIntent } from './payment-intent.ts'

/** What a request did to an intent. `says` is what the entry has beyond the intent. */
export function intentEntry(
  type: LedgerEntryType,
  intent: PaymentIntent,
  { at, requestId, idempotencyKey }: Circumstances,
  says: Partial<EntryDraft> = {},
): EntryDraft {
  return draftEntry({
    at,
    type,
    intentId: intent.id,
    customerId: intent.customerId,
    amountMinor: intent.amountMinor,
    currency: intent.currency,
    metadata: intent.metadata,
    captureMethod: intent.captureMethod,
    paymentMethod: intent.paymentMethod,
    idempotencyKey,
    requestId,
    ...says,
  })
}
