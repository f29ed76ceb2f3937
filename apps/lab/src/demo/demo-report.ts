import type { InvoiceFigures, ReceiptFigures, SeatFigures } from '../auditor/figures.ts'
import type { InvariantReport, Verdict } from '../auditor/invariant.ts'
import type { LatencySeries } from '../auditor/latency-series.ts'
import type { PeakMemory } from '../stack/peak-memory.ts'

/** `.seatbelt/reports/demo.json`. Fields are added, never renamed. A figure that was not measured is null, never 0. */
export interface DemoReport {
  readonly verdict: Verdict
  /** Why the verdict is not `valid`; empty where it is. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  readonly versions: Readonly<Record<string, string | null>>
  readonly protected: ProtectedFigures
  readonly control: ControlFigures
  /** Of the hall that was sold with the layers on. */
  readonly seats: Measured<SeatFigures>
  readonly receipts: Measured<ReceiptFigures>
  readonly invoices: Measured<InvoiceFigures>
  readonly invariants: readonly InvariantReport[]
  readonly controlInvariants: readonly InvariantReport[]
  readonly timings: Timings
  readonly memory: readonly PeakMemory[]
  /** What was done to the protected system, in the order in which it was done. */
  readonly injections: readonly Injection[]
  readonly latency: LatencySeries | null
}

export interface ProtectedFigures {
  readonly orders: number | null
  readonly requests: number | null
  readonly overlappingPairs: number | null
  readonly replays: number | null
  readonly doubleCharges: number | null
  readonly lostAcknowledgements: number | null
  readonly stuck: number | null
  readonly unknownOutcomes: number | null
  readonly recovered: number | null
  readonly replicaKills: number | null
  /** While it sent mail, and while it led the billing run. */
  readonly workerKills: number | null
  /** Answers that the gateway never gave although it had charged. */
  readonly lostAnswers: number | null
}

export interface ControlFigures {
  readonly orders: number | null
  readonly requests: number | null
  readonly doubleCharges: number | null
  /** Of the hall that was sold with the layers off; the other figures of that sale are in `seats`. */
  readonly doubleBookings: number | null
  readonly seats: Measured<SeatFigures>
  readonly overlappingPairs: number | null
  readonly invoices: Measured<InvoiceFigures>
}

export interface Timings {
  /** Until the first order: k6, servers and services. Installing and bundling, which come before, are not in it. */
  readonly setupSeconds: number | null
  readonly ordersPerSecond: number | null
  readonly requestsPerSecond: number | null
  readonly firstPayment: Percentiles
  readonly replay: Percentiles
  /** Seats and places that were booked a second, while there were some left. */
  readonly seatsPerSecond: number | null
  readonly hold: Percentiles
  readonly checkout: Percentiles
}

export interface Percentiles {
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

export interface Injection {
  /** ISO 8601, UTC. Null: all the time. */
  readonly at: string | null
  readonly until: string | null
  readonly what: string
  readonly firings: number
}

/** Nulls where it was not measured. */
type Measured<Figures> = { readonly [Name in keyof Figures]: Figures[Name] | null }

export const unmeasured = {
  seats: {
    sold: null,
    holds: null,
    walkedAway: null,
    doubleBookings: null,
    oversold: null,
    paidWithoutSeat: null,
  },
  receipts: { sent: null, duplicates: null, duplicatesWithoutCause: null, missing: null },
  invoices: { due: null, charged: null, chargedTwice: null },
} as const satisfies Pick<DemoReport, 'seats' | 'receipts' | 'invoices'>
