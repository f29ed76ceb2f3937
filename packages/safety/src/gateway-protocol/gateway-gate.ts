import type { Gateway, NoAnswer } from './gateway.ts'
import {
  type AnyAnswer,
  type GatewayClaim,
  type GatewayStop,
  GatewayStops,
  type GatewayStopsOptions,
  type RequestKind,
} from './gateway-stops.ts'

/**
 * The gate before the gateway. Operations pass it before their claim.
 *
 * It has a bounded number of slots (a bulkhead), and it stops new work while the gateway does not answer or does not
 * accept our key (a circuit breaker). `gateway-stops.ts` holds the second part.
 *
 * Guarantees: an operation that is not admitted is refused at once and has claimed nothing. An admitted operation keeps
 * its slot until its work ends, so that no effect stops half way for want of one. An account alone has two thirds of
 * the slots of requests at most, and an account without a slot receives one as long as any is free. Recovery and
 * requests have slots of their own. Every answer of the gateway is returned unchanged. While everything is stopped,
 * nothing new begins at the gateway: a creation, confirm, capture or refund is answered `not-sent`, even for an effect
 * that was claimed before. A look, and the cancel that fences, are always sent.
 * Does not guarantee: that other processes have stopped too (each has its own gate).
 * Fails with: `not-admitted` as a value.
 * Source: M. Nygard, "Release It!", chapters "Circuit Breaker" and "Bulkheads". No library: the ones that we know ask
 * the next caller's request whether the gateway is back, and that would be a payment.
 */
export interface GatewayGate extends GatewayAdmission {
  /** The given port, watched by the gate. */
  readonly gateway: Gateway
  /** Ends the probes. Call it before the port is closed. */
  close(): void
}

/** The two entrances. Each keeps a slot for the work until it ends. */
export interface GatewayAdmission {
  /** For work whose caller waits. */
  readonly forRequests: <T>(claim: GatewayClaim, work: () => Promise<T>) => Promise<T | NotAdmitted>
  /** For work without a caller: due by time, or (then without a claim to be made) abandoned by its owner. */
  readonly forRecovery: <T>(claim: GatewayClaim | null, work: () => Promise<T>) => Promise<T | NotAdmitted>
}

export interface NotAdmitted {
  readonly kind: 'not-admitted'
  /** `stopped`: everything is. `forbidden`: this operation of this account is. `full`: no slot is free for it. */
  readonly reason: 'stopped' | 'forbidden' | 'full'
  readonly retryAfterSeconds: number
}

export interface GatewayGateOptions extends GatewayStopsOptions {
  /** Effects at once, in this process. */
  readonly slots: { readonly [entrance in keyof GatewayAdmission]: number }
  readonly metrics: GatewayGateMetrics
  /** The gateway found a request of ours wrong. */
  readonly onRejected: (request: RejectedRequest) => void
}

/** A request that the gateway rejected although the client had named nothing wrong. */
export interface RejectedRequest extends Extract<NoAnswer, { kind: 'rejected' }> {
  readonly request: RequestKind
  /** The name of our payment or refund at the gateway (its `gateway_key`), or the gateway's object. */
  readonly subject: string
}

export interface GatewayGateMetrics {
  /** All that is stopped now. */
  stopped(stops: readonly GatewayStop[]): void
  inFlight(entrance: keyof GatewayAdmission, effects: number): void
  refused(entrance: keyof GatewayAdmission, reason: NotAdmitted['reason']): void
  /** A claimed effect did not send its next request, because everything is stopped. */
  skipped(): void
  rejected(request: RequestKind): void
}

/** A slot becomes free as soon as the gateway answers one request. */
const fullRetryAfterSeconds = 1

export function createGatewayGate(options: GatewayGateOptions): GatewayGate {
  const { metrics } = options
  const stops = new GatewayStops(options)
  const entrance = <Claim extends GatewayClaim | null>(name: keyof GatewayAdmission, slots: Slots) => {
    const refuse = (reason: NotAdmitted['reason'], retryAfterSeconds: number): NotAdmitted => {
      metrics.refused(name, reason)
      return { kind: 'not-admitted', reason, retryAfterSeconds }
    }
    metrics.inFlight(name, 0)
    return async <T>(claim: Claim, work: () => Promise<T>): Promise<T | NotAdmitted> => {
      const reason = stops.reasonAgainst(claim)
      if (reason) return refuse(reason, stops.secondsToProbe)
      // No queue. If the gateway answers, a slot is free within 0.1 s; if not, waiting is useless.
      const holder = claim?.accountId ?? ''
      if (!slots.take(holder)) return refuse('full', fullRetryAfterSeconds)
      metrics.inFlight(name, slots.taken)
      try {
        return await work()
      } finally {
        slots.give(holder)
        metrics.inFlight(name, slots.taken)
      }
    }
  }
  return {
    gateway: watch(options, stops),
    forRequests: entrance<GatewayClaim>('forRequests', new Slots(options.slots.forRequests, accountShare)),
    forRecovery: entrance<GatewayClaim | null>('forRecovery', new Slots(options.slots.forRecovery, undivided)),
    close: () => stops.close(),
  }
}

/**
 * An account receives another slot while it has fewer than this many times the free ones ("dynamic thresholds", A.
 * Choudhury and E. Hahne). So one busy account ends at two thirds of all slots, a second one at two thirds of the rest,
 * and a few stay free for the others. A larger factor leaves too few; a smaller one wastes slots on a single account.
 */
const accountShare = 2
/** Each lane of a worker has its own slot for the work of any account. */
const undivided = Number.POSITIVE_INFINITY

class Slots {
  readonly #total: number
  readonly #share: number
  readonly #held = new Map<string, number>()
  taken = 0

  constructor(total: number, share: number) {
    this.#total = total
    this.#share = share
  }

  take(holder: string): boolean {
    const held = this.#held.get(holder) ?? 0
    const free = this.#total - this.taken
    if (free === 0 || held >= this.#share * free) return false
    this.#held.set(holder, held + 1)
    this.taken += 1
    return true
  }

  give(holder: string): void {
    const held = (this.#held.get(holder) ?? 0) - 1
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
    this.taken -= 1
  }
}

/** The owner of a request at the gateway. `accountId` null: a look belongs to no account. */
interface Asked {
  readonly request: RequestKind
  readonly accountId: string | null
  readonly subject: string
}

/** One line per request of the port: it begins something at the gateway, or it looks or ends something. */
function watch({ gateway, metrics, onRejected }: GatewayGateOptions, stops: GatewayStops): Gateway {
  async function finish<A extends AnyAnswer>(asked: Asked, send: () => Promise<A>): Promise<A> {
    const answer: AnyAnswer = await stops.observe(asked.request, asked.accountId, send)
    if (answer.kind === 'rejected' && answer.about === 'request') {
      metrics.rejected(asked.request)
      onRejected({ ...answer, request: asked.request, subject: asked.subject })
    }
    return answer as A
  }
  async function begin<A extends AnyAnswer>(asked: Asked, send: () => Promise<A>): Promise<A | typeof notSent> {
    if (!stops.isEverythingStopped) return finish(asked, send)
    metrics.skipped()
    return notSent
  }
  const look = (subject: string): Asked => ({ request: 'look', accountId: null, subject })
  return {
    createIntent: (parameters, key) => {
      const { accountId, paymentId: subject } = parameters.metadata
      return begin({ request: 'create', accountId, subject }, () => gateway.createIntent(parameters, key))
    },
    confirmIntent: (id, parameters, key) => {
      const { accountId, paymentId: subject } = parameters.metadata
      return begin({ request: 'confirm', accountId, subject }, () => gateway.confirmIntent(id, parameters, key))
    },
    captureIntent: (id, key, accountId) =>
      begin({ request: 'capture', accountId, subject: id }, () => gateway.captureIntent(id, key, accountId)),
    cancelIntent: (id, key, accountId) =>
      finish({ request: 'cancel', accountId, subject: id }, () => gateway.cancelIntent(id, key, accountId)),
    createRefund: (parameters, key) => {
      const { accountId, refundId: subject } = parameters.metadata
      return begin({ request: 'refund', accountId, subject }, () => gateway.createRefund(parameters, key))
    },
    createCustomer: (metadata, key) => {
      const { accountId, customerId: subject } = metadata
      return begin({ request: 'customer', accountId, subject }, () => gateway.createCustomer(metadata, key))
    },
    retrieveCustomer: (id, accountId) =>
      begin({ request: 'customer-look', accountId, subject: id }, () => gateway.retrieveCustomer(id, accountId)),
    retrieveIntent: (id) => finish(look(id), () => gateway.retrieveIntent(id)),
    retrieveRefund: (id) => finish(look(id), () => gateway.retrieveRefund(id)),
    listRefundsOf: (id) => finish(look(id), () => gateway.listRefundsOf(id)),
    listCharges: (page) => finish(look('charges'), () => gateway.listCharges(page)),
    listDisputes: (page) => finish(look('disputes'), () => gateway.listDisputes(page)),
    retrieveDispute: (id) => finish(look(id), () => gateway.retrieveDispute(id)),
    listRefunds: (page) => finish(look('refunds'), () => gateway.listRefunds(page)),
  }
}

const notSent = {
  kind: 'unknown',
  reason: 'not-sent',
  status: null,
  replayed: false,
  requestId: null,
} as const satisfies NoAnswer
