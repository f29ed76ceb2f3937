import type { Refusal } from './refusal.ts'

/**
 * How many declines a window may have before no further payment is tried. 0: no limit.
 *
 * They bound card testing: one client that tries many stolen cards. Only refusals of a card's bank count, of payments
 * for which the customer named the card. A charge by subscription neither counts nor is refused.
 */
export interface DeclineLimits {
  readonly windowSeconds: number
  readonly perOrder: number
  readonly perCustomer: number
  readonly perAccount: number
}

export const noDeclineLimits: DeclineLimits = { windowSeconds: 3_600, perOrder: 0, perCustomer: 0, perAccount: 0 }

export type DeclineScope = 'order' | 'customer' | 'account'

/** The declines of one scope that has a limit, as our books show them. */
export interface DeclinesSeen {
  readonly scope: DeclineScope
  readonly limit: number
  /** Within the window. Counted up to the limit. */
  readonly declines: number
  /** When the oldest of them leaves the window. 0 where there is none. */
  readonly oldestLeavesInSeconds: number
  /** Payments of the last minute whose outcome is not known yet. Each of them may become a decline. */
  readonly underWay: number
}

/** The outcome of a payment that is under way is known after about this time. */
const outcomeKnownInSeconds = 1

/**
 * May one more payment be tried? Payments that are under way count as declines, so that no race passes a limit. Of
 * several limits, the refusal names the one that is reached for longest.
 */
export function decideOnDeclines(seen: readonly DeclinesSeen[]): Refusal | { readonly code: 'pay' } {
  const refusals = seen
    .filter(({ declines, underWay, limit }) => declines + underWay >= limit)
    .map(({ scope, declines, limit, oldestLeavesInSeconds }) => {
      const waitSeconds = declines < limit ? outcomeKnownInSeconds : Math.max(1, oldestLeavesInSeconds)
      return { code: 'too-many-declines', scope, retryAfterSeconds: waitSeconds } as const
    })
  const [longest] = refusals.toSorted((one, other) => other.retryAfterSeconds - one.retryAfterSeconds)
  return longest ?? { code: 'pay' }
}
