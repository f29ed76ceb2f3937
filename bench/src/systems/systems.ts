/** What is measured, in the order of the report. */
export const systemNames = [
  'floor',
  'tutorial',
  'dbos',
  'control',
  'seatbelt',
  'seatbelt-3',
  'seatbelt-webhooks',
] as const

export type SystemName = (typeof systemNames)[number]

/** `unsafe`: it is fast because it leaves out what makes a payment safe. */
export type SystemKind = 'seatbelt' | 'yardstick' | 'unsafe'

export interface System {
  readonly title: string
  readonly kind: SystemKind
  readonly explains: string
  /** The processes that serve payments, by the names of their instances. */
  readonly payments: readonly string[]
  /** Those that serve holds and checkouts; empty where the system has no seats. */
  readonly bookings: readonly string[]
  /** Whether a repeated key gets the recorded answer. */
  readonly replays: boolean
}

export const replicas = [1, 2, 3]

export const systems: Readonly<Record<SystemName, System>> = {
  floor: {
    title: 'Floor',
    kind: 'yardstick',
    explains: 'one file with the essential work of a safe payment and nothing else (bench/floor.mjs)',
    payments: ['floor'],
    bookings: [],
    replays: true,
  },
  tutorial: {
    title: 'Tutorial',
    kind: 'unsafe',
    explains: 'redlock around check, charge, update; unsafe (bench/peers/tutorial)',
    payments: ['tutorial'],
    bookings: [],
    replays: true,
  },
  dbos: {
    title: 'DBOS',
    kind: 'yardstick',
    explains: 'a durable workflow whose id is the idempotency key, with one step per effect (bench/peers/dbos)',
    payments: ['dbos'],
    bookings: [],
    replays: true,
  },
  control: {
    title: 'Control',
    kind: 'unsafe',
    explains: "Seatbelt's HTTP interface without any safety layer; unsafe (apps/lab/src/control)",
    payments: ['control'],
    bookings: ['control'],
    replays: false,
  },
  seatbelt: {
    title: 'Seatbelt',
    kind: 'seatbelt',
    explains: 'payments-api and booking-api of this repository, one replica of each',
    payments: ['payments-api-1'],
    bookings: ['booking-api-1'],
    replays: true,
  },
  'seatbelt-3': {
    title: 'Seatbelt × 3',
    kind: 'seatbelt',
    explains: 'three replicas, which the client uses in turn',
    payments: replicas.map((number) => `payments-api-${number}`),
    bookings: replicas.map((number) => `booking-api-${number}`),
    replays: true,
  },
  'seatbelt-webhooks': {
    title: 'Seatbelt, webhooks',
    kind: 'seatbelt',
    explains: "one replica that also receives the gateway's webhooks",
    payments: ['payments-api-1'],
    bookings: [],
    replays: true,
  },
}
