import type { Tx } from '@seatbelt/database'
import { decideCharge, type RefundState, type RepairAction } from '@seatbelt/domain'
import { type BooksOfCharge, type FoundCharge, findBooksOfCharges } from './books-of-charges.ts'
import type { ReconcileDeps } from './reconcile-deps.ts'

export interface Outcome {
  readonly kind: 'done' | 'under-way' | 'gone' | 'left' | 'person'
  readonly detail?: string
}

/** A charge that is to be put right, as the gateway has just shown it. */
export interface Repair {
  readonly findingId: string
  readonly accountId: string
  readonly orderId: string
  readonly intentId: string
  readonly charge: FoundCharge
  readonly resource: string
}

export const waiting = { kind: 'left', detail: 'somebody is still at work on the order' } as const satisfies Outcome

export interface DecidedNow {
  /** `none`: it does not differ any more. `wait`: too early to tell. */
  readonly action: RepairAction | 'none' | 'wait'
  /** What of the customer's money is concerned. */
  readonly gatewayMinor: number
  readonly books: BooksOfCharge
}

/** What is to be done, by our books as they are now. It holds for as long as the order's lock is held, and not longer. */
export async function decideNow({ judgedAfterMs }: ReconcileDeps, client: Tx, { charge }: Repair): Promise<DecidedNow> {
  const books = (await findBooksOfCharges(client, [charge], judgedAfterMs)).get(charge.id)
  if (!books) throw new Error(`the books were not asked about ${charge.id}`)
  const verdict = decideCharge(charge, books)
  if (verdict.kind === 'differs') {
    const { action, gatewayMinor } = verdict.difference
    return { action, gatewayMinor, books }
  }
  return { action: verdict.kind === 'agrees' ? 'none' : 'wait', gatewayMinor: 0, books }
}

/** An earlier repair of this charge, by this run or another: it is never begun a second time. */
export async function repairBefore(
  { payments }: ReconcileDeps,
  gatewayChargeId: string | null,
): Promise<Outcome | null> {
  if (gatewayChargeId === null) return null
  const row = await payments.database.statement((client) =>
    client.refund.findFirst({ where: { gatewayChargeId, origin: 'reconciliation' }, select: { state: true } }),
  )
  return row && outcomeOf(row.state)
}

function outcomeOf(state: RefundState): Outcome {
  switch (state) {
    case 'succeeded':
      return { kind: 'done' }
    case 'processing':
    case 'pending':
      return { kind: 'under-way' }
    case 'needs_review':
    case 'failed':
      return { kind: 'person', detail: `its repair is ${state}` }
    default:
      return state satisfies never
  }
}
