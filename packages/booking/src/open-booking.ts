import { type CompositionOptions, type ConnectionOptions, composePayments, openConnections } from '@seatbelt/payments'
import { createSeatPreCheckLayer, type SeatPreCheckMetrics } from '@seatbelt/safety'
import { Counter, type Registry } from 'prom-client'
import { createCheckoutPurpose } from './booking/checkout-purpose.ts'
import { createSeatChangePublisher } from './live/seat-change.ts'
import { createSeatChangeLog } from './live/seat-change-log.ts'
import type { BookingRenderings } from './shared/operations.ts'

interface BookingOptions extends ConnectionOptions, Pick<CompositionOptions, 'renderings'> {
  readonly bookingRenderings: BookingRenderings
}

/** A healthy Redis answers in a millisecond. A longer wait costs more than the pre-check saves. */
const preCheckBudgetMs = 100

/**
 * Opens the connections, and composes payments and booking from them.
 *
 * Every process that settles payments opens both, also if it serves no holds: the settle of a checkout's payment books
 * or frees its seats in the same commit.
 */
export function openBooking({ bookingRenderings: renderings, ...options }: BookingOptions) {
  const { registry, log } = options
  const connections = openConnections(options)
  const { redis } = connections
  const changes = createSeatChangeLog({ redis, registry })
  const seatPreCheck = createSeatPreCheckLayer({
    client: redis,
    commandBudgetMs: preCheckBudgetMs,
    metrics: createSeatPreCheckMetrics(registry),
  })
  const publishSeatChange = createSeatChangePublisher(changes.publish, seatPreCheck)
  const payments = composePayments(connections, {
    ...options,
    checkoutPurpose: createCheckoutPurpose({ renderings, publishSeatChange }),
    reportFault: (err, resource) =>
      log.error({ err, resource }, 'a fault after a commit: recovery finishes what is open'),
  })
  return {
    connections,
    payments,
    changes,
    /** For the operations on holds, together with how long these last. */
    booking: { payments, seatPreCheck, renderings, publishSeatChange },
    close: async () => {
      await changes.close()
      await connections.close()
    },
  }
}

function createSeatPreCheckMetrics(registry: Registry): SeatPreCheckMetrics {
  const refused = new Counter({
    name: 'seat_hint_refusals_total',
    help: 'Holds that the pre-check refused, without a connection to the database.',
    registers: [registry],
  })
  const bypassed = new Counter({
    name: 'seat_hint_bypasses_total',
    help: 'Holds that passed without a pre-check, because Redis was away or slow.',
    registers: [registry],
  })
  return { refused: () => refused.inc(), bypassed: () => bypassed.inc() }
}
