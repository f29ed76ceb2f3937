import { CommitUnknown, type Database, DatabaseUnavailable, sql, type Tx } from '@seatbelt/database'
import { StaleFence } from '@seatbelt/locks'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { admitBillingFence, type BillingTerm } from './billing-term.ts'
import { type ChargeResult, chargeInvoice, type DueInvoice } from './charge-invoice.ts'
import { invoiceSubscription } from './invoice-subscription.ts'

export interface BillingOptions {
  /** Names the run. It bills what was due when this hour began. */
  readonly hour: Date
  /** The leader's. */
  readonly fence: bigint
  /** Charges at once. They spend their time waiting for the gateway. */
  readonly lanes: number
  /** Fires when the leader must stop. Then nothing new begins, and what is under way is finished and recorded. */
  readonly signal: AbortSignal
  /** Receives errors about one subscription or invoice, with its id. The others are billed nevertheless. */
  readonly onFault: (fault: unknown, id: string) => void
}

/**
 * `unfinished`: something could not be tried now, or the leader had to stop. Lead again, and the run continues where it
 * stopped. `finished-before`: there was nothing left to do.
 */
export type Billed = 'finished' | 'finished-before' | 'unfinished'

/**
 * The billing run of one hour: invoices what fell due, and then tries to collect what is open, once each.
 *
 * Guarantees, whatever is repeated, runs at once, or begins under one leader and ends under another: one invoice per
 * period and at most one try per invoice and run; of a subscription that is behind, one charge a day. A finished run
 * does not begin again. There is no list of what is left to do: the invoices and their tries are that list.
 * Does not guarantee: exact counters in `billing_runs`. A leader that is killed loses those of its last page. They are
 * for a person to read.
 * Fails with: `StaleFence` when another leader was elected; errors of a database that is away. Then lead again.
 */
export async function billHour(deps: PaymentDeps, options: BillingOptions): Promise<Billed> {
  const run = await beginRun(deps, options)
  if (run === null) return 'finished-before'
  await inPages(deps, options, run, findDueSubscriptions, async ({ id }) =>
    (await invoiceSubscription(deps, run, id)) ? 'invoiced' : 'not-due',
  )
  const isLeft = await inPages(deps, options, run, findDueInvoices, (invoice) => chargeInvoice(deps, run, invoice))
  if (isLeft || options.signal.aborted) return 'unfinished'
  await finishRun(deps, run)
  return 'finished'
}

interface Run extends BillingTerm {
  readonly startedAt: Date
}

/** A page is one query, and what is done before the counters are written. */
const pageSize = 100

type FindPage<Item> = (database: Database, run: Run, after: Place) => Promise<readonly (Item & Place)[]>

/** Where a page ended. */
interface Place {
  readonly id: string
  readonly dueAt: Date
}

const beginning: Place = { id: '00000000-0000-0000-0000-000000000000', dueAt: new Date(0) }

type Outcome = 'invoiced' | ChargeResult

/** Resolves with whether something was left that could be tried again at once. */
async function inPages<Item>(
  deps: PaymentDeps,
  { lanes, signal, onFault }: BillingOptions,
  run: Run,
  findPage: FindPage<Item>,
  work: (item: Item & Place) => Promise<Outcome>,
): Promise<boolean> {
  let isLeft = false
  let after = beginning
  for (;;) {
    const page = await findPage(deps.database, run, after)
    const outcomes: Outcome[] = []
    const mustStop = () => signal.aborted || outcomes.includes('unavailable')
    await inLanes(page, lanes, async (item) => {
      if (mustStop()) return
      try {
        outcomes.push(await work(item))
      } catch (fault) {
        if (endsRun(fault)) throw fault
        onFault(fault, item.id)
      }
    })
    await recordProgress(deps, run, outcomes)
    isLeft ||= outcomes.includes('busy') || outcomes.includes('unavailable')
    if (page.length < pageSize || mustStop()) return isLeft
    after = page.at(-1) ?? after
  }
}

/**
 * Ends when all lanes have ended, also when one of them failed, so that no lane works on after its leader has ended.
 */
async function inLanes<Item>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  const lane = async () => {
    try {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
    } catch (fault) {
      queue.length = 0
      throw fault
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** Errors that are not about one subscription: all that follow would fail too, and wait for another hour. */
function endsRun(fault: unknown): boolean {
  return fault instanceof StaleFence || fault instanceof DatabaseUnavailable || fault instanceof CommitUnknown
}

/**
 * Null: the run was finished before. The first leader's start time stays: later leaders see by it what this run has
 * done.
 */
function beginRun(deps: PaymentDeps, { hour, fence }: BillingOptions): Promise<Run | null> {
  return asLeader(deps, fence, async (tx) => {
    const [row] = await tx.writeReturning<{ startedAt: Date }>(sql`
      INSERT INTO billing_runs AS run (hour, fence, led_by) VALUES (${hour}::timestamptz, ${fence}, ${deps.by})
      ON CONFLICT (hour) DO UPDATE SET fence = EXCLUDED.fence, led_by = EXCLUDED.led_by WHERE run.finished_at IS NULL
      RETURNING started_at`)
    return row ? { fence, dueBy: hour, startedAt: row.startedAt } : null
  })
}

function recordProgress(deps: PaymentDeps, { fence, dueBy }: Run, outcomes: readonly Outcome[]): Promise<void> {
  const count = (counted: Outcome) => outcomes.filter((outcome) => outcome === counted).length
  return asLeader(deps, fence, async (tx) =>
    tx.write(sql`
      UPDATE billing_runs
         SET invoiced = invoiced + ${count('invoiced')}, charged = charged + ${count('charged')},
             declined = declined + ${count('declined')}
       WHERE hour = ${dueBy}::timestamptz`),
  )
}

function finishRun(deps: PaymentDeps, { fence, dueBy }: Run): Promise<void> {
  return asLeader(deps, fence, async (tx) =>
    tx.write(sql`UPDATE billing_runs SET finished_at = clock_timestamp() WHERE hour = ${dueBy}::timestamptz`),
  )
}

/** No advisory lock: the fence's row, locked in share mode, keeps other leaders from drawing until the commit. */
function asLeader<T>({ layers }: PaymentDeps, fence: bigint, write: (tx: Tx) => Promise<T>): Promise<T> {
  return layers.transaction(async (tx) => {
    await admitBillingFence(tx, fence)
    return write(tx)
  })
}

/** A subscription with an invoice that was made or settled since the run began waits for the next run. */
function findDueSubscriptions({ query }: Database, { dueBy, startedAt }: Run, after: Place): Promise<Place[]> {
  return query<Place>(sql`
    SELECT id, next_due_at AS due_at FROM subscriptions
     WHERE state = 'active' AND next_due_at <= ${dueBy}::timestamptz
       AND (next_due_at, id) > (${after.dueAt}::timestamptz, ${after.id}::uuid)
       AND NOT EXISTS (
         SELECT 1 FROM invoices
          WHERE subscription_id = subscriptions.id
            AND (state = 'open' OR created_at >= ${startedAt}::timestamptz OR settled_at >= ${startedAt}::timestamptz))
     ORDER BY next_due_at, id LIMIT ${pageSize}`)
}

/** Invoices whose order is being paid belong to recovery. Those of a paused subscription wait until it is active. */
function findDueInvoices({ query }: Database, { dueBy }: Run, after: Place): Promise<(DueInvoice & Place)[]> {
  return query<DueInvoice & Place>(sql`
    SELECT invoices.id, invoices.account_id, subscription_id, order_id, next_try_at AS due_at
      FROM invoices JOIN orders ON orders.id = order_id AND orders.state = 'pending'
                    JOIN subscriptions ON subscriptions.id = subscription_id AND subscriptions.state = 'active'
     WHERE invoices.state = 'open' AND next_try_at <= ${dueBy}::timestamptz
       AND (next_try_at, invoices.id) > (${after.dueAt}::timestamptz, ${after.id}::uuid)
     ORDER BY next_try_at, invoices.id LIMIT ${pageSize}`)
}
