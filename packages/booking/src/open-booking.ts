import { openPayments, type Payments, type PaymentsOptions } from '@seatbelt/payments'
import type { SeatHintMetrics } from '@seatbelt/safety'
import { createSeatHintLayer } from '@seatbelt/safety'
import { Counter, type Registry } from 'prom-client'
import { v7 as newId } from 'uuid'
import { createCheckoutSteps } from './booking/checkout-purpose.ts'
import { createSeatChangeLog, type SeatChangeLog } from './live/seat-change-log.ts'
import type { BookingDeps } from './shared/booking-deps.ts'
import type { BookingRenderings } from './shared/operations.ts'

export interface BookingOptions extends Omit<PaymentsOptions, 'checkouts'> {
  readonly bookingRenderings: BookingRenderings
}

export interface OpenedBooking extends Payments {
  /** For the operations on holds, together with how long these last. */
  readonly booking: Omit<BookingDeps, 'policy'>
  readonly changes: SeatChangeLog
}

/** A healthy Redis answers in a millisecond; who waited longer has lost what the door saves. */
const hintBudgetMs = 100

/**
 * Opens payments together with what their checkouts need, and composes it by hand.
 *
 * Every process that settles payments opens this one, also where nobody holds a seat: whoever settles a checkout's payment books
 * or frees its seats in the same commit.
 */
export function openBooking({ bookingRenderings: renderings, ...options }: BookingOptions): OpenedBooking {
  const { registry, log } = options
  const reportFault = (err: unknown, resource: string) =>
    log.error({ err, resource }, 'a checkout lost what it was for')
  const made: { news?: Pick<OpenedBooking, 'changes'> & Pick<BookingDeps['layers'], 'seatHint'> } = {}
  const payments = openPayments({
    ...options,
    checkouts: (redis) => {
      const seatHint = createSeatHintLayer({
        client: redis,
        commandBudgetMs: hintBudgetMs,
        metrics: createSeatHintMetrics(registry),
      })
      const changes = createSeatChangeLog({ redis, registry })
      made.news = { seatHint, changes }
      const { forget } = seatHint
      return createCheckoutSteps({ renderings, newId, reportFault, forget, tell: changes.tell })
    },
  })
  const { seatHint, changes } = made.news ?? notMade()
  const layers = { ...payments.deps.layers, seatHint }
  return {
    ...payments,
    changes,
    booking: { payments: payments.deps, layers, renderings, tell: changes.tell },
    close: async () => {
      await changes.close()
      await payments.close()
    },
  }
}

function notMade(): never {
  throw new Error('payments were opened without the steps of checkouts')
}

function createSeatHintMetrics(registry: Registry): SeatHintMetrics {
  const refused = new Counter({
    name: 'seat_hint_refusals_total',
    help: 'Holds that were refused at the cheap door, without a connection to the database.',
    registers: [registry],
  })
  const bypassed = new Counter({
    name: 'seat_hint_bypasses_total',
    help: 'Holds that went past the cheap door because Redis was not to be asked.',
    registers: [registry],
  })
  return { refused: () => refused.inc(), bypassed: () => bypassed.inc() }
}
