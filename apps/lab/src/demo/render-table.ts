import type { DemoReport, Percentiles } from './demo-report.ts'

interface Row {
  readonly what: string
  readonly layersOn: number | null
  readonly layersOff: number | null
}

/** What a report says in figures: for the terminal and for the page. */
export function rowsOf(report: DemoReport): Row[] {
  const { protected: on, control: off, receipts, invoices, seats } = report
  return [
    { what: 'orders to pay for', layersOn: on.orders, layersOff: off.orders },
    { what: 'requests to pay, each order ten at once', layersOn: on.requests, layersOff: off.requests },
    {
      what: 'pairs of them certainly in flight together',
      layersOn: on.overlappingPairs,
      layersOff: off.overlappingPairs,
    },
    { what: 'orders charged more than once', layersOn: on.doubleCharges, layersOff: off.doubleCharges },
    { what: 'payments acknowledged and then lost', layersOn: on.lostAcknowledgements, layersOff: null },
    { what: 'orders left hanging', layersOn: on.stuck, layersOff: null },
    { what: 'answers replayed, byte for byte', layersOn: on.replays, layersOff: null },
    { what: 'requests whose outcome the client could not know', layersOn: on.unknownOutcomes, layersOff: null },
    { what: 'payments finished by somebody else after a loss', layersOn: on.recovered, layersOff: null },
    { what: 'receipts that arrived by mail', layersOn: receipts.sent, layersOff: null },
    { what: 'receipts that never arrived', layersOn: receipts.missing, layersOff: null },
    { what: 'second copies, each in flight when it was disturbed', layersOn: receipts.duplicates, layersOff: null },
    { what: 'second copies without a cause', layersOn: receipts.duplicatesWithoutCause, layersOff: null },
    { what: 'periods of subscriptions that fell due', layersOn: invoices.due, layersOff: off.invoices.due },
    { what: 'periods charged more than once', layersOn: invoices.chargedTwice, layersOff: off.invoices.chargedTwice },
    { what: 'seats and standing places that were sold', layersOn: seats.sold, layersOff: off.seats.sold },
    { what: 'holds, each for up to six of them', layersOn: seats.holds, layersOff: off.seats.holds },
    { what: 'holds that somebody walked away from', layersOn: seats.walkedAway, layersOff: off.seats.walkedAway },
    { what: 'seats sold to two customers', layersOn: seats.doubleBookings, layersOff: off.doubleBookings },
    { what: 'seats and places sold beyond what there is', layersOn: seats.oversold, layersOff: off.seats.oversold },
    {
      what: 'checkouts paid for without a seat',
      layersOn: seats.paidWithoutSeat,
      layersOff: off.seats.paidWithoutSeat,
    },
  ]
}

export const verdictLines: Readonly<Record<DemoReport['verdict'], string>> = {
  valid:
    'VALID: each order and each period was charged exactly once, every receipt arrived, no seat was sold twice, and the same loads charged and sold twice as soon as the layers were off.',
  invalid: 'INVALID: with all layers on, something happened that must never happen.',
  unknown: 'UNKNOWN: nothing bad was seen, but this run does not prove anything.',
}

/** The result as a stranger can read it. */
export function renderTable(report: DemoReport): string {
  return [
    '',
    line('', 'layers on', 'layers off'),
    ...rowsOf(report).map(({ what, layersOn, layersOff }) => line(what, figure(layersOn), figure(layersOff))),
    '',
    'Done to the system with the layers on:',
    ...report.injections.map(({ what, firings }) => `  ${figure(firings)} x  ${what}`),
    '',
    "Checked afterwards, in the gateway's own ledger, in the database and in what the clients were told:",
    ...report.invariants.map(
      ({ id, claim, verdict, checked }) => `  ${verdict.padEnd(14)}  ${id}  ${claim} (${figure(checked)} checked)`,
    ),
    '',
    ...speedLines(report),
    '',
    verdictLines[report.verdict],
    ...report.reasons.map((reason) => `  - ${reason}`),
    '',
  ].join('\n')
}

function line(what: string, layersOn: string, layersOff: string): string {
  return `  ${what.padEnd(52)}${layersOn.padStart(12)}${layersOff.padStart(12)}`
}

function speedLines({ timings }: DemoReport): string[] {
  const { ordersPerSecond, requestsPerSecond, firstPayment, replay, seatsPerSecond, hold, checkout } = timings
  return [
    [
      `${figure(ordersPerSecond)} orders and ${figure(requestsPerSecond)} requests to pay a second;`,
      `first payments ${latency(firstPayment)}; replays ${latency(replay)}`,
    ].join(' '),
    `${figure(seatsPerSecond)} seats and places sold a second; holds ${latency(hold)}; checkouts ${latency(checkout)}`,
  ]
}

function latency({ p50Ms, p99Ms }: Percentiles): string {
  return `p50 ${figure(p50Ms)} ms, p99 ${figure(p99Ms)} ms`
}

/** A figure that was not measured is a dash, never a zero. */
export function figure(value: number | null): string {
  return value === null ? '-' : value.toLocaleString('en-US', { maximumFractionDigits: 1 })
}
