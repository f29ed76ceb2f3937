import type { RequestListener } from 'node:http'
import { createApp as createBookingApp } from '@seatbelt/booking-api'
import { createDatabase, findAccountByKeyHash } from '@seatbelt/database'
import {
  bookingRenderings,
  createAuthenticate,
  createLogger,
  createMetrics,
  createTokenBuckets,
  listen,
  renderings,
} from '@seatbelt/http'
import { createStripeEventReader, createStripeGateway } from '@seatbelt/payments'
import { createApp as createPaymentsApp } from '@seatbelt/payments-api'
import { readControlConfig } from './config.ts'
import { billNaivelyAtIntervals } from './naive-billing-schedule.ts'
import { createNaiveBookingOperations } from './naive-booking.ts'
import { applyNaively } from './naive-events.ts'
import { createNaiveOperations } from './naive-operations.ts'
import { createNaiveSubscriptions } from './naive-subscriptions.ts'

/** The load comes from one account and must not be slowed down: what is measured here is not the limit. */
const unlimited = { perSecond: 1_000_000, burst: 1_000_000 }
/** As many as the real operations have, so that the same load meets the same width. */
const gatewayConnections = 132

const config = readControlConfig()
const logger = createLogger({ level: config.LOG_LEVEL, instance: config.INSTANCE })
const database = createDatabase({
  url: config.DATABASE_URL,
  poolSize: config.DATABASE_POOL_SIZE,
  applicationName: config.INSTANCE,
})
const gateway = createStripeGateway({
  url: config.GATEWAY_URL,
  apiKey: config.GATEWAY_API_KEY,
  deadlineMs: config.GATEWAY_DEADLINE_MS,
  maxConnections: gatewayConnections,
})

const secrets = config.GATEWAY_WEBHOOK_SECRETS === '' ? [] : config.GATEWAY_WEBHOOK_SECRETS.split(',')
const onFault = (err: unknown) => logger.error({ err }, 'a subscription could not be billed')
const stopBilling = billNaivelyAtIntervals({ database, gateway, onFault }, config.BILLING_INTERVAL_SECONDS)

const payments = {
  ...{ database, gateway, renderings },
  bookedBy: secrets.length === 0 ? ('request' as const) : ('event' as const),
}
const doors = {
  authenticate: createAuthenticate({
    findAccountByKeyHash: findAccountByKeyHash(database),
    developmentKeys: 'accepted',
    strangers: createTokenBuckets(unlimited),
  }),
  accounts: createTokenBuckets(unlimited),
  metrics: createMetrics(),
  logger,
  instance: config.INSTANCE,
}

await listen({
  app: eitherApp({
    booking: createBookingApp({
      ...doors,
      operations: createNaiveBookingOperations({
        ...{ payments, renderings: bookingRenderings },
        holdMs: 1_000 * config.HOLD_SECONDS,
      }),
    }),
    payments: createPaymentsApp({
      ...doors,
      operations: createNaiveOperations(payments),
      subscriptions: createNaiveSubscriptions({ database, gateway, renderings }),
      gatewayEvents:
        secrets.length === 0
          ? undefined
          : { read: createStripeEventReader({ secrets }), apply: (event) => applyNaively({ database }, event) },
    }),
  }),
  host: config.HOST,
  port: config.PORT,
  isReady: () => database.isReady(),
  logger,
  exitWithParent: config.EXIT_WITH_PARENT,
  onDrained: async () => {
    await stopBilling()
    await Promise.all([database.close(), gateway.close()])
  },
})

/** One process serves both APIs: their paths differ, and a tutorial has one server. */
function eitherApp({ booking, payments }: Readonly<Record<'booking' | 'payments', RequestListener>>): RequestListener {
  const ofBooking = /^\/v1\/(events|holds|bookings)(\/|\?|$)/
  return (request, response) => (ofBooking.test(request.url ?? '') ? booking : payments)(request, response)
}
