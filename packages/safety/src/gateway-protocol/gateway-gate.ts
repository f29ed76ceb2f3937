import { randomUUID } from 'node:crypto'
import { bulkhead, CircuitState, CountBreaker, circuitBreaker, handleAll } from 'cockatiel'
import type { Gateway, NoAnswer, UnknownReason } from './gateway.ts'

/**
 * The gate before the gateway: a bulkhead, which bounds how many effects may wait for it at once, and a circuit, which
 * opens when hardly anything is answered any more. Operations pass it before their claim.
 *
 * Guarantees: whoever is not admitted is refused at once and has claimed nothing; whoever is admitted keeps the place
 * until the work ends, so that an effect is never stopped half way for want of one; recovery and requests have places of
 * their own, so that neither starves the other; every answer of the gateway is handed on as it came. While the circuit is
 * open nothing new is begun there, not even by an effect that was claimed before: its creation, confirm, capture or refund is
 * answered `not-sent`, which is true. What ends something (a look, the cancel that fences) is always sent.
 * When the gateway answers again, the circuit is closed within the rest of one knock and one pause, also without traffic.
 * Does not guarantee: that a circuit is closed in other processes (each has its own), nor that a gateway which answers the
 * knock also creates; then the circuit opens again after ten more failures.
 * Fails with: `not-admitted` as a value.
 * Source: M. Nygard, "Release It!", chapters "Circuit Breaker" and "Bulkheads"; https://github.com/connor4312/cockatiel
 */
export interface GatewayGate extends GatewayAdmission {
  /** The port that it was made with, watched. */
  readonly gateway: Gateway
  /** Nobody knocks after this. Call it before the port is closed. */
  close(): void
}

/** The two entrances. A bracket each: the place is held until the work ends, however it ends. */
export interface GatewayAdmission {
  /** For what a caller waits for. */
  readonly forRequests: Admit
  /** For what nobody waits for: work that others left, or that fell due. */
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
  /** Called with what the gateway said last when it counted as away; once, until it is back. */
  readonly onAway: (trouble: UnknownReason | 'fault') => void
  readonly onBack: () => void
}

export interface GatewayGateMetrics {
  circuit(state: 'closed' | 'half-open' | 'open'): void
  inFlight(entrance: keyof GatewayAdmission, effects: number): void
  refused(entrance: keyof GatewayAdmission, reason: NotAdmitted['reason']): void
  /** A claimed effect did not send its next request, because the circuit had opened meanwhile. */
  skipped(): void
}

/**
 * Opens when more than 85 of 100 of the last 30 answers were trouble. A gateway that still answers half of what it is asked
 * is worth asking, because whatever fails is recovered: by chance alone that half would look like this once in 30,000
 * answers. A window of answers and not of time, so that a quiet night judges by as many as a busy day.
 */
const breakerOptions = { threshold: 0.85, size: 30, minimumNumberOfCalls: 10 }
/**
 * From the circuit's opening to a knock, and between knocks. A knock is one harmless request of one process: short, so that
 * nobody is refused for long after the gateway is back, and long enough to be nothing to a gateway that struggles.
 */
const knockEveryMs = 2_000
/** A place comes free as soon as the gateway answers anybody. */
const fullRetryAfterSeconds = 1

export function createGatewayGate(options: GatewayGateOptions): GatewayGate {
  const { places, metrics } = options
  const circuit = createCircuit(options)
  const admitThrough = (entrance: keyof GatewayAdmission): Admit => {
    // No queue: behind a gateway that answers, a place comes free in a tenth of a second; behind another, waiting is in vain.
    const taken = bulkhead(places[entrance])
    const tell = () => metrics.inFlight(entrance, places[entrance] - taken.executionSlots)
    const refuse = (reason: NotAdmitted['reason'], retryAfterSeconds: number): NotAdmitted => {
      metrics.refused(entrance, reason)
      return { kind: 'not-admitted', reason, retryAfterSeconds }
    }
    tell()
    return async (work) => {
      if (!circuit.isClosed()) return refuse('circuit-open', circuit.knocksInSeconds())
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

/** One line for each request of the port: does it begin something there, or does it look, end or undo? */
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

/** What all answers of the port have in common: each kind of answer has the unknown among its variants. */
type Unknown = Extract<NoAnswer, { kind: 'unknown' }>
type AnyAnswer = Unknown | { readonly kind: string }

interface Circuit {
  isClosed(): boolean
  /** Not sent while the circuit is not closed. */
  begin<A extends AnyAnswer>(send: () => Promise<A>): Promise<A | Unknown>
  /** Sent in any case. */
  finish<A extends AnyAnswer>(send: () => Promise<A>): Promise<A>
  /** When asking again may be worth it; at least 1. */
  knocksInSeconds(): number
  close(): void
}

const notSent: Unknown = { kind: 'unknown', reason: 'not-sent', status: null, replayed: false, requestId: null }

/**
 * The library decides when the circuit opens and what a knock does to it. When to knock is a timer here: the library's
 * own waiting reads the wall clock, which may be set back, and ends only with the next request, which would have to be
 * somebody's payment.
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
  let knocksAtMs = 0
  let timer: NodeJS.Timeout | undefined

  metrics.circuit('closed')
  circuit.onStateChange((state) => metrics.circuit(stateNames[state]))
  circuit.onBreak((trouble) => {
    openings++
    knocksAtMs = performance.now() + knockEveryMs
    if (!isEnded) timer = setTimeout(knock, knockEveryMs).unref()
    if (!isAway) onAway(reasonOf(trouble))
    isAway = true
  })
  circuit.onReset(() => {
    isAway = false
    onBack()
  })

  /**
   * Cancels an intent that cannot exist, which the gateway refuses if it is there. A write, because what is limited or broken
   * at a gateway may be its writes alone. Its key is a new one: an old one would be answered from memory.
   */
  function knock(): void {
    // What is thrown has opened the circuit again and set the timer, as any other trouble.
    circuit.execute(() => gateway.cancelIntent('pi_seatbelt_knock', `knock:${randomUUID()}`)).catch(() => undefined)
  }

  /**
   * The answer to what was sent before the circuit opened says nothing of the gateway of today: a hundred requests that hang
   * run into their deadlines long after it is back.
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
    knocksInSeconds: () => Math.max(1, Math.ceil((knocksAtMs - performance.now()) / 1_000)),
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
  // Nobody isolates it here; to those who are refused it is the same.
  [CircuitState.Isolated]: 'open',
} as const

/** Which of the unknowns say that the gateway is not well. All others, and all that is known, are answers of one that is. */
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
  // About our own key, which waiting does not mend.
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
