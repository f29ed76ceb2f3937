import { randomUUID } from 'node:crypto'
import { bulkhead, CircuitState, CountBreaker, circuitBreaker, handleAll } from 'cockatiel'
import type { Gateway, NoAnswer, UnknownReason } from './gateway.ts'

/**
 * The gate before the gateway: a bulkhead and a circuit breaker. Operations pass it before their claim.
 *
 * The bulkhead bounds how many effects may wait for the gateway at once. The circuit opens when the gateway hardly
 * answers any more.
 *
 * Guarantees: an operation that is not admitted is refused at once and has claimed nothing. An admitted operation
 * keeps its place until its work ends, so that no effect stops half way for want of a place. Recovery and requests
 * have places of their own, so that neither starves the other. Every answer of the gateway is returned unchanged.
 * While the circuit is open, nothing new begins at the gateway: a creation, confirm, capture or refund is answered
 * `not-sent`, even for an effect that was claimed before. A look, and the cancel that fences, are always sent. When
 * the gateway answers again, the circuit closes within one probe and one pause, also without traffic.
 * Does not guarantee: that the circuit is closed in other processes (each has its own), nor that a gateway which
 * answers the probe also creates; then the circuit opens again after ten more failures.
 * Fails with: `not-admitted` as a value.
 * Source: M. Nygard, "Release It!", chapters "Circuit Breaker" and "Bulkheads";
 * https://github.com/connor4312/cockatiel
 */
export interface GatewayGate extends GatewayAdmission {
  /** The given port, watched by the circuit. */
  readonly gateway: Gateway
  /** Ends the probes. Call it before the port is closed. */
  close(): void
}

/** The two entrances. Each keeps a place for the work until it ends. */
export interface GatewayAdmission {
  /** For work whose caller waits. */
  readonly forRequests: Admit
  /** For work without a caller: abandoned by its owner, or due by time. */
  readonly forRecovery: Admit
}

export type Admit = <T>(work: () => Promise<T>) => Promise<T | NotAdmitted>

export interface NotAdmitted {
  readonly kind: 'not-admitted'
  readonly reason: 'circuit-open' | 'full'
  readonly retryAfterSeconds: number
}

export interface GatewayGateOptions {
  readonly gateway: Gateway
  /** Effects at once, in this process. */
  readonly places: { readonly [entrance in keyof GatewayAdmission]: number }
  readonly metrics: GatewayGateMetrics
  /** Called once when the circuit opens, with the last trouble, and not again before `onBack`. */
  readonly onAway: (trouble: UnknownReason | 'fault') => void
  readonly onBack: () => void
}

export interface GatewayGateMetrics {
  circuit(state: 'closed' | 'half-open' | 'open'): void
  inFlight(entrance: keyof GatewayAdmission, effects: number): void
  refused(entrance: keyof GatewayAdmission, reason: NotAdmitted['reason']): void
  /** A claimed effect did not send its next request, because the circuit has opened. */
  skipped(): void
}

/**
 * The circuit opens when more than 85 % of the last 30 answers were trouble.
 *
 * A gateway that answers half of its requests is worth asking, because failures are recovered; by chance alone, it
 * would open the circuit once in 30,000 answers. The window counts answers, so that a quiet night judges by as many
 * as a busy day.
 */
const breakerOptions = { threshold: 0.85, size: 30, minimumNumberOfCalls: 10 }
/**
 * From the opening of the circuit to a probe, and between probes. A longer pause refuses requests after the gateway is
 * back; a shorter one adds load to a gateway that struggles.
 */
const probeEveryMs = 2_000
/** A place becomes free as soon as the gateway answers one request. */
const fullRetryAfterSeconds = 1

export function createGatewayGate(options: GatewayGateOptions): GatewayGate {
  const { places, metrics } = options
  const circuit = createCircuit(options)
  const admitThrough = (entrance: keyof GatewayAdmission): Admit => {
    // No queue. If the gateway answers, a place is free within 0.1 s; if not, waiting is useless.
    const taken = bulkhead(places[entrance])
    const tell = () => metrics.inFlight(entrance, places[entrance] - taken.executionSlots)
    const refuse = (reason: NotAdmitted['reason'], retryAfterSeconds: number): NotAdmitted => {
      metrics.refused(entrance, reason)
      return { kind: 'not-admitted', reason, retryAfterSeconds }
    }
    tell()
    return async (work) => {
      if (!circuit.isClosed()) return refuse('circuit-open', circuit.secondsToProbe())
      if (taken.executionSlots === 0) return refuse('full', fullRetryAfterSeconds)
      try {
        return await taken.execute(() => {
          tell()
          return work()
        })
      } finally {
        tell()
      }
    }
  }
  return {
    gateway: watch(options.gateway, circuit),
    forRequests: admitThrough('forRequests'),
    forRecovery: admitThrough('forRecovery'),
    close: circuit.close,
  }
}

/** One line per request of the port: it begins something at the gateway, or it looks, ends or undoes. */
function watch(gateway: Gateway, { begin, finish }: Circuit): Gateway {
  return {
    createIntent: (parameters, key) => begin(() => gateway.createIntent(parameters, key)),
    confirmIntent: (id, parameters, key) => begin(() => gateway.confirmIntent(id, parameters, key)),
    captureIntent: (id, key) => begin(() => gateway.captureIntent(id, key)),
    cancelIntent: (id, key) => finish(() => gateway.cancelIntent(id, key)),
    retrieveIntent: (id) => finish(() => gateway.retrieveIntent(id)),
    createRefund: (parameters, key) => begin(() => gateway.createRefund(parameters, key)),
    retrieveRefund: (id) => finish(() => gateway.retrieveRefund(id)),
    listRefundsOf: (intentId) => finish(() => gateway.listRefundsOf(intentId)),
    listCharges: (page) => finish(() => gateway.listCharges(page)),
    listRefunds: (page) => finish(() => gateway.listRefunds(page)),
  }
}

/** All answers of the port: each kind has the unknown among its variants. */
type Unknown = Extract<NoAnswer, { kind: 'unknown' }>
type AnyAnswer = Unknown | { readonly kind: string }

interface Circuit {
  isClosed(): boolean
  /** Not sent while the circuit is not closed. */
  begin<A extends AnyAnswer>(send: () => Promise<A>): Promise<A | Unknown>
  /** Sent in any case. */
  finish<A extends AnyAnswer>(send: () => Promise<A>): Promise<A>
  /** Until the next probe; at least 1. */
  secondsToProbe(): number
  close(): void
}

const notSent: Unknown = { kind: 'unknown', reason: 'not-sent', status: null, replayed: false, requestId: null }

/**
 * The library decides when the circuit opens and what the answer to a probe does to it.
 *
 * The timer of the probes is here. The library's own pause reads the wall clock, which may be set back, and ends only
 * with the next request, which would be a payment.
 */
function createCircuit({ gateway, metrics, onAway, onBack }: GatewayGateOptions): Circuit {
  const circuit = circuitBreaker(handleAll.orWhenResult(isTrouble), {
    breaker: new CountBreaker(breakerOptions),
    halfOpenAfter: Number.NEGATIVE_INFINITY,
  })
  const isClosed = () => circuit.state === CircuitState.Closed
  let openings = 0
  let isAway = false
  let isEnded = false
  let probesAtMs = 0
  let timer: NodeJS.Timeout | undefined

  metrics.circuit('closed')
  circuit.onStateChange((state) => metrics.circuit(stateNames[state]))
  circuit.onBreak((trouble) => {
    openings++
    probesAtMs = performance.now() + probeEveryMs
    if (!isEnded) timer = setTimeout(probe, probeEveryMs).unref()
    if (!isAway) onAway(reasonOf(trouble))
    isAway = true
  })
  circuit.onReset(() => {
    isAway = false
    onBack()
  })

  /**
   * Cancels an intent that cannot exist, which a healthy gateway refuses.
   *
   * The probe is a write, because a gateway may limit or break only its writes. It uses a new key, because the gateway
   * answers an old one from memory.
   */
  function probe(): void {
    // A throw has opened the circuit again and set the timer, as any other trouble does.
    circuit.execute(() => gateway.cancelIntent('pi_seatbelt_knock', `knock:${randomUUID()}`)).catch(() => undefined)
  }

  /**
   * Ignores answers to requests that were sent before the circuit opened: a hundred hanging requests reach their
   * deadlines long after the gateway is back.
   */
  async function finish<A extends AnyAnswer>(send: () => Promise<A>): Promise<A> {
    const wasClosed = isClosed()
    const sentAfter = openings
    const answer = await send()
    if (wasClosed && sentAfter === openings) await circuit.execute(() => answer)
    return answer
  }

  return {
    isClosed,
    finish,
    begin: async (send) => {
      if (isClosed()) return finish(send)
      metrics.skipped()
      return notSent
    },
    secondsToProbe: () => Math.max(1, Math.ceil((probesAtMs - performance.now()) / 1_000)),
    close: () => {
      isEnded = true
      clearTimeout(timer)
    },
  }
}

const stateNames = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Open]: 'open',
  // The circuit is never isolated here. To a caller, it would be the same.
  [CircuitState.Isolated]: 'open',
} as const

/** Whether a reason says that the gateway is not well. Every other answer says that it is. */
const isTroubleByReason: Readonly<Record<UnknownReason, boolean>> = {
  deadline: true,
  'not-sent': true,
  connection: true,
  'server-error': true,
  unreadable: true,
  'rate-limited': true,
  // About this one request or its key.
  'key-in-use': false,
  'key-reused': false,
  // About our own API key, which waiting does not repair.
  unauthorized: false,
  // About our own time.
  'lease-over': false,
}

function isUnknown(answer: unknown): answer is Unknown {
  return typeof answer === 'object' && answer !== null && 'kind' in answer && answer.kind === 'unknown'
}

function isTrouble(answer: unknown): boolean {
  return isUnknown(answer) && isTroubleByReason[answer.reason]
}

function reasonOf(trouble: object): UnknownReason | 'fault' {
  return 'value' in trouble && isUnknown(trouble.value) ? trouble.value.reason : 'fault'
}
