import type { Gateway } from '@seatbelt/safety'
import { type PaymentDeps, type PaymentPolicy, wantedMs } from '../shared/payment-deps.ts'

export interface ReconcileDeps {
  readonly payments: PaymentDeps
  readonly gateway: Gateway
  /** What is younger than this is not judged. See `judgedAfterMs`. */
  readonly judgedAfterMs: number
  /** How much of a list is asked for at once. The gateway gives a hundred at most. */
  readonly pageSize: number
}

/** The gateway's clock and ours are kept by others; and it counts whole seconds. */
const clockSkewMs = 60_000
/** The longest that recovery leaves alone what nobody settled. */
const recoveryPauseMs = 20_000
/** For so long a settle may still be on its way, where PostgreSQL was away. */
const settleMs = 10_000

/**
 * How old a charge must be before anything is made of it: by then a payment that was claimed just before it has been given up
 * by those who wanted it, by its last owner, and by the recovery after that one. Only what stays after this was slipped.
 */
export function judgedAfterMs({ leaseMs }: Pick<PaymentPolicy, 'leaseMs'>): number {
  return wantedMs + 2 * leaseMs + recoveryPauseMs + settleMs + clockSkewMs
}

/** A week, so that what a weekend brought is still in Monday's report, and a day on which nothing ran leaves no gap. */
export const defaultWindowMs = 7 * 24 * 3_600_000

/** The most that the gateway gives at once. */
export const defaultPageSize = 100
