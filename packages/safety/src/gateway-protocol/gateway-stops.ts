import { randomUUID } from 'node:crypto'
import type { Gateway, NoAnswer, UnknownReason } from './gateway.ts'

/** The account of a claim, and the operation that it begins at the gateway. */
export interface GatewayClaim {
  readonly accountId: string
  readonly operation: GatewayOperation
}

export type GatewayOperation = 'pay' | 'capture' | 'void' | 'refund' | 'customer'

export interface GatewayStopsOptions {
  readonly gateway: Gateway
  /** Receives all that is stopped now. */
  readonly metrics: { stopped(stops: readonly GatewayStop[]): void }
  /** Called when something is stopped, and again when the cause of the stop has changed. */
  readonly onStop: (stop: GatewayStop) => void
  readonly onResume: (stop: GatewayStop) => void
}

export interface GatewayStop {
  /** `look`: no claim begins with one, so it only says that recovery and reconciliation cannot look. */
  readonly operation: GatewayOperation | 'look' | 'everything'
  readonly accountId: string | null
  readonly cause: UnknownReason
  /** The kind of request that failed, which the probe repeats. */
  readonly request: RequestKind
}

/** The kinds of requests that the gateway may treat differently. */
export type RequestKind = 'create' | 'confirm' | 'capture' | 'cancel' | 'refund' | 'customer' | 'customer-look' | 'look'

/**
 * From a stop to a probe, and between probes. A longer pause refuses requests after the gateway is back; a shorter one
 * adds load to a gateway that struggles.
 */
const probeEveryMs = 2_000
/**
 * Everything stops when more than 85 % of the last 30 answers, and of at least 10, are trouble.
 *
 * A gateway that answers half of its requests is worth asking, because failures are recovered; by chance alone, it
 * would stop everything once in 30,000 answers. The window counts answers, so that a quiet night judges by as many as a
 * busy day.
 */
const window = { answers: 30, atLeast: 10, troubleShare: 0.85 }

/**
 * What is stopped at the gateway, learned from its answers, and resumed by probes.
 *
 * Guarantees: one 401 stops everything at once, and so do answers that are almost all trouble. One 403 stops its
 * operation for its account. The probe asks for the kind of request that failed, in a form that cannot move money. When
 * the gateway answers it, work resumes within one probe and one pause, also without traffic.
 * Does not guarantee: that a gateway which answers the probe also does what was asked before. Then the stop comes back.
 */
export class GatewayStops {
  readonly #options: GatewayStopsOptions
  readonly #stops = new Map<string, GatewayStop>()
  #recent: readonly boolean[] = []
  #timesStopped = 0
  #probesAtMs = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: GatewayStopsOptions) {
    this.#options = options
    options.metrics.stopped([])
  }

  get isEverythingStopped(): boolean {
    return this.#stops.has(nameOf(everything))
  }

  /** Null: nothing is against it. Work that was claimed before (claim null) stops only with everything else. */
  reasonAgainst(claim: GatewayClaim | null): 'stopped' | 'forbidden' | null {
    if (this.isEverythingStopped) return 'stopped'
    return claim !== null && this.#stops.has(nameOf(claim)) ? 'forbidden' : null
  }

  /** Until the next probe; at least 1. */
  get secondsToProbe(): number {
    return Math.max(1, Math.ceil((this.#probesAtMs - performance.now()) / 1_000))
  }

  /**
   * Sends a request, learns from its answer, and returns it unchanged.
   *
   * Ignores answers to requests that were sent before or while everything was stopped: a hundred hanging requests reach
   * their deadlines long after the gateway is back.
   */
  async observe<A extends AnyAnswer>(request: RequestKind, accountId: string | null, send: () => Promise<A>) {
    const wasStopped = this.isEverythingStopped
    const sentAfter = this.#timesStopped
    const answer = await send()
    if (!wasStopped && sentAfter === this.#timesStopped) this.#learn(request, accountId, troubleIn(answer))
    return answer
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #learn(request: RequestKind, accountId: string | null, cause: UnknownReason | null): void {
    if (cause === 'forbidden') {
      this.#stop({ operation: operationOf[request], accountId, cause, request })
      return
    }
    this.#recent = [...this.#recent.slice(1 - window.answers), cause !== null]
    if (cause === 'unauthorized' || (cause !== null && this.#isInTrouble()))
      // A look is no probe for the rest, because a gateway may break only its writes.
      this.#stop({ ...everything, cause, request: request === 'look' ? 'cancel' : request })
  }

  #isInTrouble(): boolean {
    const { length } = this.#recent
    return length >= window.atLeast && this.#recent.filter(Boolean).length > window.troubleShare * length
  }

  /** Begins a stop, or goes on with one, which then is probed behind all others. */
  #stop(stop: GatewayStop): void {
    if (this.#isClosed) return
    const name = nameOf(stop)
    const before = this.#stops.get(name)
    if (!before && stop.operation === 'everything') this.#timesStopped += 1
    this.#stops.delete(name)
    this.#stops.set(name, stop)
    if (before?.cause !== stop.cause) this.#options.onStop(stop)
    this.#options.metrics.stopped([...this.#stops.values()])
    this.#schedule()
  }

  #resume(stop: GatewayStop): void {
    if (stop.operation === 'everything') this.#recent = []
    this.#stops.delete(nameOf(stop))
    this.#options.metrics.stopped([...this.#stops.values()])
    this.#options.onResume(stop)
  }

  #schedule(): void {
    if (this.#timer || this.#isClosed || this.#stops.size === 0) return
    this.#probesAtMs = performance.now() + probeEveryMs
    this.#timer = setTimeout(() => void this.#probeInTurn(), probeEveryMs).unref()
  }

  /**
   * Probes one stop after the other until one goes on. So accounts that are still forbidden cost one request a pause
   * together, and a key that was repaired frees all of them at once.
   */
  async #probeInTurn(): Promise<void> {
    const all = this.#stops.get(nameOf(everything))
    for (const stop of all ? [all] : [...this.#stops.values()]) if (!(await this.#probe(stop))) break
    this.#timer = undefined
    this.#schedule()
  }

  async #probe(stop: GatewayStop): Promise<boolean> {
    const knock = knocks[stop.request](this.#options.gateway, stop.accountId ?? '')
    // An error would be ours, and proves nothing about the gateway.
    const cause = await knock.then(troubleIn, () => stop.cause)
    if (this.#isClosed) return false
    if (cause === null) this.#resume(stop)
    else this.#stop({ ...stop, ...(cause === 'unauthorized' && everything), cause })
    return cause === null
  }
}

const everything = { operation: 'everything', accountId: null } as const

function nameOf({ operation, accountId }: Pick<GatewayStop, 'operation' | 'accountId'>): string {
  return `${operation} ${accountId}`
}

const operationOf: Readonly<Record<RequestKind, GatewayStop['operation']>> = {
  create: 'pay',
  confirm: 'pay',
  capture: 'capture',
  cancel: 'void',
  refund: 'refund',
  customer: 'customer',
  'customer-look': 'customer',
  look: 'look',
}

/**
 * Requests that a healthy gateway refuses: about an object that cannot exist, for an amount of 0, or with a name in the
 * metadata that is too long. Each has a new key, because the gateway answers an old one from memory.
 */
const knocks: Readonly<Record<RequestKind, (gateway: Gateway, accountId: string) => Promise<AnyAnswer>>> = {
  create: (gateway, accountId) => gateway.createIntent(knockParameters(accountId), knockKey()),
  confirm: (gateway, accountId) => gateway.confirmIntent(knockId, knockParameters(accountId), knockKey()),
  capture: (gateway, accountId) => gateway.captureIntent(knockId, knockKey(), accountId),
  cancel: (gateway, accountId) => gateway.cancelIntent(knockId, knockKey(), accountId),
  refund: (gateway, accountId) => {
    const metadata = { refundId: knockId, orderId: knockId, accountId }
    return gateway.createRefund({ intentId: knockId, amountMinor: 1, metadata }, knockKey())
  },
  customer: (gateway, accountId) => gateway.createCustomer({ accountId, customerId: tooLong }, knockKey()),
  'customer-look': (gateway, accountId) => gateway.retrieveCustomer(knockId, accountId),
  look: (gateway) => gateway.retrieveIntent(knockId),
}

const knockId = 'pi_seatbelt_knock'
/** The gateway takes up to 500 characters in a value of metadata. */
const tooLong = 'x'.repeat(501)
const knockKey = () => `knock:${randomUUID()}`

function knockParameters(accountId: string) {
  const metadata = { paymentId: knockId, orderId: knockId, accountId }
  return { amountMinor: 0, currency: 'EUR', paymentMethod: knockId, cardWith: 'confirm', metadata } as const
}

/** The answers of all requests of the port. */
export type AnyAnswer = NoAnswer | { readonly kind: 'intent' | 'refund' | 'dispute' | 'customer' | 'list' }

/** About one request or its key. Every other unknown answer says that the gateway is not well. */
const noTrouble: ReadonlySet<UnknownReason> = new Set(['key-in-use', 'key-reused'])

function troubleIn(answer: AnyAnswer): UnknownReason | null {
  return answer.kind !== 'unknown' || noTrouble.has(answer.reason) ? null : answer.reason
}
