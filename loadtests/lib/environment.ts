/** What a load test is told from outside. `npm run load -- NAME` sets all of it. */
export interface Environment {
  /** Base addresses of the replicas. Copies of one request are spread over them. */
  readonly replicas: readonly string[]
  /** The same of booking-api. Loads that sell no seats do without. */
  readonly bookingReplicas: readonly string[]
  /** Where each of them tells its counters, if that is not the same: a load balancer shows none. */
  readonly bookingMetrics: readonly string[]
  readonly gatewayUrl: string
  readonly auditorUrl: string
  /** Names this run: in the auditor, and as the beginning of every idempotency key. */
  readonly run: string
  readonly orders: number
  /** How large a hall is that is sold. */
  readonly seats: number
  readonly places: number
  /** How often one payment is sent at the same moment. */
  readonly copies: number
  /** Orders that are being paid for at the same time. */
  readonly concurrency: number
  readonly apiKey: string
  /** Of another account. */
  readonly strangerApiKey: string
  /** For what a merchant's own page does at the gateway. */
  readonly gatewayApiKey: string
  /** Whether orders have an address that their receipts go to. */
  readonly receipts: boolean
  /**
   * How long a copy is repeated before it counts as unsettled. A killed replica's payment waits for its lease (60 s, unless
   * LEASE_MS says otherwise) to end and for a worker to take it over; what takes longer than this is stuck.
   */
  readonly settleWithinMs: number
  /** Where the summary goes as JSON; null: nowhere. */
  readonly summaryPath: string | null
}

/** @throws with the name of the variable that is missing or out of its bounds. k6 then ends with exit code 107. */
export const environment: Environment = {
  replicas: list(required('REPLICAS')),
  bookingReplicas: list(__ENV.BOOKING_REPLICAS ?? ''),
  bookingMetrics: list(__ENV.BOOKING_METRICS ?? __ENV.BOOKING_REPLICAS ?? ''),
  gatewayUrl: required('GATEWAY_URL'),
  auditorUrl: required('AUDITOR_URL'),
  run: required('RUN'),
  // Setup hands the orders to every virtual user, so that more of them is mostly memory.
  orders: whole('ORDERS', 200, 1, 100_000),
  // A hall has 100 seats at least; an event may have 100,000.
  seats: whole('SEATS', 10_000, 100, 100_000),
  places: whole('PLACES', 5_000, 0, 100_000),
  // One copy races with nobody. For a payment ten are a lot; for the one free seat some hundreds are a stampede.
  copies: whole('COPIES', 10, 2, 500),
  // A virtual user costs some megabytes, and a quarter of the orders takes one for each copy.
  concurrency: whole('CONCURRENCY', 16, 1, 64),
  apiKey: required('API_KEY'),
  // The other development account's, which is published.
  strangerApiKey: __ENV.STRANGER_API_KEY ?? 'sb_dev_only_1111111111111111',
  // The simulator's own, which is no secret.
  gatewayApiKey: __ENV.GATEWAY_API_KEY ?? 'sk_test_dev_only',
  receipts: __ENV.RECEIPTS === 'on',
  settleWithinMs: whole('SETTLE_WITHIN_MS', 90_000, 100, 300_000),
  summaryPath: __ENV.SUMMARY ?? null,
}

export type Api = 'payments' | 'booking'

/** The replica that the given copy is sent to on its given try: another one each time. */
export function replicaFor(copy: number, round: number, api: Api = 'payments'): string {
  const replicas = api === 'payments' ? environment.replicas : environment.bookingReplicas
  const replica = replicas[(copy + round) % replicas.length]
  if (replica === undefined) throw new Error(`no replica of the ${api} API is named`)
  return replica
}

function required(name: string): string {
  const value = __ENV[name]
  if (value === undefined || value === '') throw new Error(`${name} is missing: npm run load -- NAME sets it`)
  return value
}

function list(urls: string): string[] {
  return urls
    .split(',')
    .map((url) => url.trim().replace(/\/$/, ''))
    .filter((url) => url !== '')
}

function whole(name: string, fallback: number, least: number, most: number): number {
  const value = Number(__ENV[name] ?? fallback)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Error(`${name} must be a whole number from ${least} to ${most}`)
  }
  return value
}
