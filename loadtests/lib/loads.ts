/**
 * The loads, each with what it proves, what it does to the gateway, and what its control does instead. Plain data and no
 * import: k6 reads it here, and so does `npm run load`.
 *
 * A load declares its faults here and nowhere else. It sets them in its setup and clears them before it asks for the verdict;
 * `npm run load` clears them once more, also when k6 was killed. Loads without faults leave the gateway as it is, so that somebody
 * else may break it meanwhile, as the demo does.
 */
export interface Load {
  /** What has been shown when it passes. */
  readonly proves: string
  /** What the unsafe twin does instead, in which the same load must find violations (`--control`). */
  readonly control: string
  /** The invariants that the control must break, of which the auditor must find at least one broken. */
  readonly breaks: readonly string[]
  readonly faults: readonly GatewayFault[]
  /** For the auditor: what must have had something to look at. */
  readonly expects: readonly string[]
  /** What its control needs besides the naive payments. */
  readonly twin?: {
    readonly takesEvents?: boolean
    readonly billingIntervalSeconds?: number
    readonly holdSeconds?: number
    readonly gatewayDeadlineMs?: number
  }
  /** It needs processes that run otherwise than usual, by the service's name; so it never uses a stack that runs already. */
  readonly environment?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** What it is fired with where nobody says otherwise, and the usual would be no load of its kind. */
  readonly size?: { readonly orders?: number; readonly copies?: number; readonly concurrency?: number }
}

/** As the gateway's `POST /_control/faults` takes them. The first that hits is the one. */
export interface GatewayFault {
  readonly on: string
  readonly kind: string
  readonly rate: number
  readonly delayMs?: number
}

/** What every load that sells seats is judged by. */
const seats = ['I1', 'I3', 'I4', 'I5', 'I6', 'I8'] as const
const payments = ['I1', 'I2', 'I3', 'I6', 'I8'] as const

/** Three seconds: an age for a client, and no time-out yet for us. */
export const brownoutDelayMs = 3_000

/** So often that a load sees several runs, and so seldom that each finds the one before it finished. */
export const billingIntervalSeconds = 15

/** Whoever holds seats and walks away gives them back before the sale is over. */
export const saleHoldSeconds = 20
/** So short that a slow card outlasts it. */
export const shortHoldSeconds = 4

export const loads = {
  'duplicate-payments': {
    proves: 'a payment that is sent ten times at once is charged once, and all ten get the same answer',
    control: 'pays without keys, locks or constraints',
    breaks: ['I1'],
    faults: [],
    expects: payments,
  },
  'double-click': {
    proves: 'of several requests with different keys for one order one pays',
    control: 'reads whether the order is paid, then charges',
    breaks: ['I1'],
    faults: [],
    expects: payments,
  },
  'key-reuse': {
    proves: 'a key that comes back with another request is refused, and nothing is done',
    control: 'ignores keys',
    breaks: ['I1'],
    faults: [],
    expects: payments,
  },
  'retry-storm': {
    proves:
      'clients that give up and ask again, while the gateway charges and goes silent, are charged once and learn so',
    control: 'a new intent for every retry',
    breaks: ['I1'],
    faults: [
      // Longer than our deadline of 8 s: it charges, and nobody hears of it.
      { on: 'confirm', kind: 'delay', rate: 0.2, delayMs: 20_000 },
      { on: 'confirm', kind: 'drop-after', rate: 0.3 },
      { on: 'create', kind: 'drop-after', rate: 0.1 },
    ],
    expects: payments,
  },
  'refund-race': {
    proves: 'refunds of one payment at once, full and in part, never exceed it, and each is given once',
    control: 'refunds without reserving the amount, by a new key each time',
    breaks: ['I6', 'I9'],
    faults: [{ on: 'refund', kind: 'drop-after', rate: 0.15 }],
    expects: [...payments, 'I9'],
  },
  'cancel-race': {
    proves: 'an order is paid or cancelled and a hold captured or voided, never both, and all are told the same',
    control: 'cancels and voids without a lock',
    breaks: ['I1', 'I6'],
    faults: [{ on: 'confirm', kind: 'drop-after', rate: 0.15 }],
    expects: payments,
  },
  'webhook-storm': {
    proves: 'events that come five at once, out of order, twice, late or never have one effect, and forged ones none',
    control: 'books whatever event it is told, without looking at its id',
    breaks: ['I6'],
    faults: [
      { on: 'webhook', kind: 'five-at-once', rate: 0.3 },
      { on: 'webhook', kind: 'twice', rate: 0.2 },
      { on: 'webhook', kind: 'out-of-order', rate: 0.3 },
      { on: 'webhook', kind: 'delay', rate: 0.3, delayMs: 4_000 },
      { on: 'webhook', kind: 'never', rate: 0.3 },
      { on: 'webhook', kind: 'wrong-signature', rate: 0.3 },
      // So that the event is what tells us of the charge.
      { on: 'confirm', kind: 'drop-after', rate: 0.3 },
    ],
    expects: [...payments, 'I9'],
    twin: { takesEvents: true },
  },
  'billing-run': {
    proves: 'each subscription is charged once per period, though all workers wake at once and answers are lost',
    control: 'three servers with a cron job, and nobody is elected',
    breaks: ['I1', 'I10'],
    faults: [{ on: 'confirm', kind: 'drop-after', rate: 0.1 }],
    expects: ['I1', 'I3', 'I6', 'I10', 'I11'],
    twin: { billingIntervalSeconds },
    environment: { worker: { BILLING_INTERVAL_SECONDS: String(billingIntervalSeconds) } },
  },
  'gateway-brownout': {
    proves:
      'while half of the answers are slow or 500, reads stay quick, the surplus is told to wait, and nothing is left hanging',
    control: 'no bulkhead and no circuit, and whoever waited too long is charged again',
    breaks: ['I1'],
    faults: [
      { on: 'any', kind: 'delay', rate: 0.25, delayMs: brownoutDelayMs },
      { on: 'any', kind: 'error-before', rate: 0.33 },
    ],
    expects: payments,
  },
  'one-seat-stampede': {
    proves:
      'of hundreds who want one seat at the same moment one gets it, and hardly any of the others reaches PostgreSQL',
    control: 'reads whether the seat is free, then writes that it is held',
    breaks: ['I4'],
    faults: [],
    expects: ['I1', 'I3', 'I4', 'I6', 'I8'],
    size: { orders: 20, copies: 300, concurrency: 1 },
  },
  'on-sale': {
    proves:
      'a hall is sold out under a rush, each seat once and paid for, though cards are slow or declined and people walk away',
    control: 'reads what is free, then writes; charges, then writes',
    breaks: ['I4', 'I5'],
    faults: [
      { on: 'confirm', kind: 'delay', rate: 0.05, delayMs: 3_000 },
      { on: 'confirm', kind: 'drop-after', rate: 0.03 },
      { on: 'capture', kind: 'drop-after', rate: 0.03 },
    ],
    expects: seats,
    twin: { holdSeconds: saleHoldSeconds },
    environment: { 'booking-api': { HOLD_SECONDS: String(saleHoldSeconds) } },
  },
  'hold-expiry': {
    proves: 'a seat whose hold lapses goes to one other, and one that is being paid for to nobody',
    control: 'reads whether the hold has time left, charges for longer than that, and writes that it is booked',
    breaks: ['I4'],
    faults: [{ on: 'confirm', kind: 'delay', rate: 0.5, delayMs: 5_000 }],
    expects: ['I1', 'I3', 'I4', 'I6', 'I8'],
    // As long as ours: it charges while the hold lapses, and hears of it.
    twin: { holdSeconds: shortHoldSeconds, gatewayDeadlineMs: 8_000 },
    environment: { 'booking-api': { HOLD_SECONDS: String(shortHoldSeconds) } },
    size: { orders: 60, copies: 6, concurrency: 12 },
  },
  'booking-cancel-race': {
    proves:
      'a booking that is cancelled and refunded at the same moment is refunded once in all, and its seats are free once',
    control: 'gives the places back, and then what it read to be left of the money',
    breaks: ['I5', 'I6', 'I9'],
    faults: [{ on: 'refund', kind: 'drop-after', rate: 0.15 }],
    expects: [...seats, 'I9'],
  },
  'console-actions': {
    proves:
      "what a person refunds, captures and cancels at the gateway's console is shown by its booking, which can be cancelled, and the merchant receives an event; and no account charges a customer whom another one has there",
    control: "looks at nothing but its own requests, and takes any customer's name",
    breaks: ['I6', 'I11', 'I12'],
    faults: [
      { on: 'webhook', kind: 'out-of-order', rate: 0.2 },
      { on: 'webhook', kind: 'twice', rate: 0.2 },
      { on: 'webhook', kind: 'delay', rate: 0.3, delayMs: 3_000 },
      { on: 'webhook', kind: 'wrong-signature', rate: 0.2 },
      { on: 'refund', kind: 'drop-after', rate: 0.15 },
    ],
    expects: [...seats, 'I9', 'I11', 'I12'],
    twin: { billingIntervalSeconds },
    // It also gives the merchant an endpoint that receives nothing, which no other load should find.
    environment: { worker: { BILLING_INTERVAL_SECONDS: String(billingIntervalSeconds) } },
    size: { orders: 60, copies: 3, concurrency: 12 },
  },
} as const satisfies Record<string, Load>

export type LoadName = keyof typeof loads

/**
 * Metrics that count what the system did wrong. All others that have a threshold are about whether the load was one: where
 * only such are crossed, nothing is known.
 */
export const wrongs: readonly string[] = [
  'orders_charged_wrong',
  'payments_refunded_wrong',
  'races_won_twice',
  'forgeries_taken',
  'periods_charged_wrong',
  'audit_violations',
  'answers_unexpected',
  'answers_differ',
  'copies_unsettled',
  'reads_failed',
  'read_duration',
  'refusal',
  'seats_given_twice',
  'bookings_charged_wrong',
  'availability_wrong',
  'console_hidden',
  'seats_had_by_nobody',
  'losers_in_database_share',
]

/** Those of them by which the clients themselves see money gone wrong. */
export const harms: readonly string[] = [
  'orders_charged_wrong',
  'payments_refunded_wrong',
  'races_won_twice',
  'forgeries_taken',
  'periods_charged_wrong',
  'seats_given_twice',
  'bookings_charged_wrong',
  'availability_wrong',
  'console_hidden',
]
