import { CommitUnknown, type Database, DatabaseUnavailable } from '@seatbelt/database'
import { StaleFence } from '@seatbelt/locks'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { admitBillingFence, type BillingTerm } from './billing-fence.ts'
import { type ChargeResult, chargeInvoice, type DueInvoice } from './charge-invoice.ts'
import { invoiceSubscription } from './invoice-subscription.ts'

export interface BillingOptions {
  /** Which run; also what it is about: that which was due when its hour began. */
  readonly hour: Date
  /** The leader's. */
  readonly fence: bigint
  /** Charges at once. They spend their time waiting for the gateway. */
  readonly lanes: number
  /** Fires when the leader must stop: nothing new is begun then, what is under way is written down. */
  readonly signal: AbortSignal
  /** Told of what is wrong with one subscription or invoice, by its id; the others are billed all the same. */
  readonly onFault: (fault: unknown, id: string) => void
}

/**
 * `unfinished`: something could not be tried now, or the leader had to stop. Lead again, and it goes on where it stopped.
 * `finished-before`: there was nothing left to do.
 */
export type Billed = 'finished' | 'finished-before' | 'unfinished'

/**
 * The billing run of one hour: invoices what fell due, and then tries to collect what is open, once each.
 *
 * Guarantees: whatever is done twice, at once, or begun by one leader and ended by another: one invoice per period and at
 * most one try per invoice and run; of a subscription that is behind, one period per run. A run that is finished is not
 * begun again. There is no list of what is left to do: the invoices and their tries are that list.
 * Does not guarantee: exact counters in `billing_runs`; a leader that is killed takes its last page's with it. They are for
 * a person to look at.
 * Fails with: `StaleFence` when somebody else leads; faults of a database that is away. Then it is to be led again.
 */
export async function billHour(deps: PaymentDeps, options: BillingOptions): Promise<Billed> {
  const run = await beginRun(deps, options)
  if (run === null) return 'finished-before'
  await inPages(deps, options, run, { page: findDueSubscriptions, count: countInvoice, work: invoiceOne })
  const left = await inPages(deps, options, run, { page: findDueInvoices, count: countCharge, work: chargeOne })
  if (left || options.signal.aborted) return 'unfinished'
  await finishRun(deps, run)
  return 'finished'
}

/** A page is one query, and what is done before the counters are written. */
const pageSize = 100

interface Run extends BillingTerm {
  readonly startedAt: Date
}

interface Counts {
  readonly invoiced: number
  readonly charged: number
  readonly declined: number
}

interface Step<Item, Outcome> {
  readonly page: (database: Database, run: Run, after: Place | null) => Promise<readonly (Item & Place)[]>
  readonly work: (deps: PaymentDeps, run: Run, item: Item) => Promise<Outcome>
  readonly count: (outcomes: readonly Outcome[]) => Counts
}

/** Where a page ended. */
interface Place {
  readonly id: string
  readonly dueAt: Date
}

const invoiceOne = (deps: PaymentDeps, run: Run, { id }: Place) => invoiceSubscription(deps, run, id)
const chargeOne = (deps: PaymentDeps, run: Run, invoice: DueInvoice) => chargeInvoice(deps, run, invoice)

const none: Counts = { invoiced: 0, charged: 0, declined: 0 }
const countInvoice = (made: readonly boolean[]) => ({ ...none, invoiced: made.filter(Boolean).length })
const countCharge = (results: readonly ChargeResult[]) => ({
  ...none,
  charged: results.filter((result) => result === 'charged').length,
  declined: results.filter((result) => result === 'declined').length,
})

/** Resolves with whether something was left that could be tried again at once. */
async function inPages<Item, Outcome>(
  deps: PaymentDeps,
  { lanes, signal, onFault }: BillingOptions,
  run: Run,
  step: Step<Item, Outcome>,
): Promise<boolean> {
  let isLeft = false
  let after: Place | null = null
  for (;;) {
    const page: readonly (Item & Place)[] = await step.page(deps.database, run, after)
    const outcomes: Outcome[] = []
    const mustStop = () => signal.aborted || outcomes.some((outcome) => outcome === 'gateway-away')
    await inLanes(page, lanes, async (item) => {
      if (mustStop()) return
      try {
        outcomes.push(await step.work(deps, run, item))
      } catch (fault) {
        if (endsRun(fault)) throw fault
        onFault(fault, item.id)
      }
    })
    await noteProgress(deps, run, step.count(outcomes))
    isLeft ||= outcomes.some((outcome) => outcome === 'busy' || outcome === 'gateway-away')
    after = page.at(-1) ?? null
    if (page.length < pageSize || mustStop()) return isLeft
  }
}

/** Ends when all lanes have, also when one of them failed: nobody works on behind the leader's back. */
async function inLanes<Item>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  const failed = new AbortController()
  const lane = async () => {
    for (const item of queue) {
      if (failed.signal.aborted) return
      await work(item).catch((fault: unknown) => {
        failed.abort()
        throw fault
      })
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** Faults that are not about one subscription, so that going on with the next would leave all of them for another hour. */
function endsRun(fault: unknown): boolean {
  return fault instanceof StaleFence || fault instanceof DatabaseUnavailable || fault instanceof CommitUnknown
}

/** Null: it was finished before. The first leader's beginning stays: by it the later ones see what was done in this run. */
function beginRun({ layers, by }: PaymentDeps, { hour, fence }: BillingOptions): Promise<Run | null> {
  return layers.transaction(async (tx) => {
    await admitBillingFence(tx, fence)
    const rows = await tx.$queryRaw<{ startedAt: Date }[]>`
      INSERT INTO billing_runs AS run (hour, fence, led_by) VALUES (${hour}::timestamptz, ${fence}, ${by})
      ON CONFLICT (hour) DO UPDATE SET fence = EXCLUDED.fence, led_by = EXCLUDED.led_by WHERE run.finished_at IS NULL
      RETURNING started_at AS "startedAt"`
    return rows[0] ? { fence, dueBy: hour, startedAt: rows[0].startedAt } : null
  })
}

function noteProgress({ layers }: PaymentDeps, { fence, dueBy }: Run, counts: Counts): Promise<void> {
  return layers.transaction(async (tx) => {
    await admitBillingFence(tx, fence)
    await tx.$executeRaw`
      UPDATE billing_runs
         SET invoiced = invoiced + ${counts.invoiced}, charged = charged + ${counts.charged}, declined = declined + ${counts.declined}
       WHERE hour = ${dueBy}::timestamptz`
  })
}

function finishRun({ layers }: PaymentDeps, { fence, dueBy }: Run): Promise<void> {
  return layers.transaction(async (tx) => {
    await admitBillingFence(tx, fence)
    await tx.$executeRaw`UPDATE billing_runs SET finished_at = clock_timestamp() WHERE hour = ${dueBy}::timestamptz`
  })
}

/**
 * A subscription of which an invoice was made or settled since the run began waits for the next run: whoever is behind is not
 * charged for three periods within a minute.
 */
function findDueSubscriptions(database: Database, { dueBy, startedAt }: Run, after: Place | null): Promise<Place[]> {
  return database.statement(
    (client) => client.$queryRaw<Place[]>`
      SELECT id, next_due_at AS "dueAt" FROM subscriptions
       WHERE state = 'active' AND next_due_at <= ${dueBy}::timestamptz
         AND (next_due_at, id) > (${after?.dueAt ?? beginning}::timestamptz, ${after?.id ?? noId}::uuid)
         AND NOT EXISTS (
           SELECT 1 FROM invoices
            WHERE subscription_id = subscriptions.id
              AND (state = 'open' OR created_at >= ${startedAt}::timestamptz OR settled_at >= ${startedAt}::timestamptz))
       ORDER BY next_due_at, id LIMIT ${pageSize}`,
  )
}

/** Those whose order is being paid are recovery's. */
function findDueInvoices(database: Database, { dueBy }: Run, after: Place | null): Promise<(DueInvoice & Place)[]> {
  return database.statement(
    (client) => client.$queryRaw<(DueInvoice & Place)[]>`
      SELECT invoices.id, invoices.account_id AS "accountId", subscription_id AS "subscriptionId", order_id AS "orderId",
             next_try_at AS "dueAt"
        FROM invoices JOIN orders ON orders.id = order_id AND orders.state = 'pending'
       WHERE invoices.state = 'open' AND next_try_at <= ${dueBy}::timestamptz
         AND (next_try_at, invoices.id) > (${after?.dueAt ?? beginning}::timestamptz, ${after?.id ?? noId}::uuid)
       ORDER BY next_try_at, invoices.id LIMIT ${pageSize}`,
  )
}

const beginning = new Date(0)
const noId = '00000000-0000-0000-0000-000000000000'
