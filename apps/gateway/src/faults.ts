import { type Random, seededRandom } from './random.ts'
import { withoutTime } from './tallies.ts'

/** How a request can be told to go wrong. */
export const requestFaultKinds = [
  /** Do it at the usual time, answer late. */
  'delay',
  /** Do it late, answer at once: what a request does that was stuck somewhere on its way here. */
  'delay-before',
  /** Do it, then destroy the connection. */
  'drop-after',
  /** Destroy the connection without doing it. */
  'drop-before',
  /** Do it, then answer 500. The 500 is recorded under the key, as Stripe does. */
  'error-after',
  /** Answer 500 without doing it. Recorded as well. */
  'error-before',
  /** 429, before anything else. Not recorded. */
  'rate-limit',
  /** 401: the API key is wrong or was revoked. */
  'unauthorized',
  /** 403: the API key may not do this. */
  'forbidden',
  /** 400: a parameter is not known, as after a change of the API's version. */
  'refuse',
  /**
   * The card's bank refuses, whatever the card: a confirm and an attach with 402, a capture for good (the authorization is
   * gone), a refund later (it succeeds, and then fails).
   */
  'decline',
  /** A refund alone: refused with 400 and `code`, as for a charge that the gateway cannot refund. */
  'refuse-refund',
  /** Do it, then answer HTML, with 200 or 502. What is recorded is the true answer: a proxy in between spoilt it. */
  'garbage',
  /** Do it, then answer bit by bit for `delayMs`, so that nobody who measures only silence ever gives up. */
  'trickle',
] as const

/** How the delivery of an event can be told to go wrong. What spoils an attempt spoils the first; the next are as they should be. */
export const webhookFaultKinds = [
  /** Deliver late. */
  'delay',
  /** Deliver again what was delivered. */
  'twice',
  /** Deliver five copies at the same moment. */
  'five-at-once',
  /** Deliver behind a later event of the same intent, or after `delayMs` where there is none. */
  'out-of-order',
  /** Do not deliver. It is still found under `/v1/events`. */
  'never',
  /** Sign with other secrets. */
  'wrong-signature',
  /** Sign well, but as of an hour ago. */
  'old-timestamp',
] as const

/**
 * These refuse a request before it is read, also where it names nothing that exists, and are never recorded. If the
 * request concerns nothing, a rule with `metadata` compares the metadata in the request itself.
 */
const refusalKinds: readonly FaultKind[] = ['unauthorized', 'forbidden', 'refuse']

export const faultKinds = [...new Set([...requestFaultKinds, ...webhookFaultKinds])]

export type FaultKind = (typeof requestFaultKinds | typeof webhookFaultKinds)[number]

/** The requests that can be hit, by what they are about. Without more words, it is a payment intent. */
export const requestOperations = [
  'create',
  'confirm',
  'capture',
  'cancel',
  'retrieve',
  'list',
  'refund',
  'retrieve-refund',
  'list-refunds',
  'retrieve-dispute',
  'list-disputes',
  'retrieve-charge',
  'list-charges',
  'create-customer',
  'retrieve-customer',
  'attach',
  'list-payment-methods',
  'retrieve-event',
  'list-events',
  'retrieve-account',
] as const

export type RequestOperation = (typeof requestOperations)[number]

export const operations = [...requestOperations, 'webhook'] as const

export type Operation = (typeof operations)[number]

/** Why a gateway can never make a refund. Source: https://docs.stripe.com/error-codes */
export const refundRefusalCodes = [
  'charge_disputed',
  'refund_disputed_payment',
  'charge_not_refundable',
  'balance_insufficient',
] as const

export function isRefusal(kind: FaultKind): boolean {
  return refusalKinds.includes(kind)
}

/** A fault of a request that was read and concerns something. */
export function isRequestFault(kind: FaultKind): boolean {
  return (requestFaultKinds as readonly string[]).includes(kind) && !isRefusal(kind)
}

export function isWebhookFault(kind: FaultKind): boolean {
  return (webhookFaultKinds as readonly string[]).includes(kind)
}

export interface FaultRule {
  /** `any` is any request; the delivery of an event must be named. */
  readonly on: Operation | 'any'
  readonly kind: FaultKind
  /** 0 to 1: the share of the requests, or events, that it could hit. */
  readonly rate: number
  /** It stops after so many. */
  readonly times?: number | undefined
  /** For the two delays, `trickle` and `out-of-order`. */
  readonly delayMs?: number | undefined
  /** For `webhook`: only events of this type. */
  readonly event?: string | undefined
  /** For `garbage`; without it, one or the other by chance. */
  readonly status?: 200 | 502 | undefined
  /** For `refuse-refund`. Default: `charge_disputed`. */
  readonly code?: (typeof refundRefusalCodes)[number] | undefined
  /** Only what concerns an intent, refund or customer whose metadata has all of these, whatever the time in an id. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export interface Fault {
  readonly kind: FaultKind
  readonly delayMs: number
  readonly garbageStatus: 200 | 502
  readonly refusalCode: (typeof refundRefusalCodes)[number]
}

/** The request, or the delivery, that a fault may hit. */
export interface FaultTarget {
  readonly operation: Operation
  /** The type of the event, for `webhook`. */
  readonly event?: string
  readonly metadata: Readonly<Record<string, string>>
  /** What `metadata.fault` counts by: it hits one subject once. */
  readonly subject: string
  /** A fault that could not show is not spent on the request. */
  readonly canShow: (kind: FaultKind) => boolean
}

export interface Faults {
  replace(rules: readonly FaultRule[], seed: number): void
  /** Whether a rule refuses requests. Without one, nothing has to be looked up for them before they are read. */
  mayRefuse(): boolean
  list(): readonly (FaultRule & { readonly fired: number })[]
  /** The first rule that hits, or the wish in the intent's own `metadata.fault`, which comes first. */
  choose(target: FaultTarget): Fault | null
}

/** Long enough to outlive every deadline in the house, short enough not to hold a connection for ever. */
export const maxDelayMs = 120_000

const defaultDelayMs = 1_000

/** Subjects whose `metadata.fault` was already granted. Tests make hundreds; beyond this the oldest may be hit again. */
const maxGrantedWishes = 10_000

export function createFaults(): Faults {
  let random: Random = seededRandom(1)
  let rules: { rule: FaultRule; fired: number }[] = []
  const granted = new Set<string>()

  function grantWish(target: FaultTarget): Fault | null {
    const wish = parseWishes(target.metadata.fault).find(
      ({ on, kind }) => concerns(on, target.operation) && target.canShow(kind),
    )
    if (!wish) return null
    const grant = `${target.operation} ${target.subject}`
    if (granted.has(grant)) return null
    granted.add(grant)
    if (granted.size > maxGrantedWishes) {
      for (const oldest of granted) {
        granted.delete(oldest)
        break
      }
    }
    return makeFault({ ...wish, rate: 1 }, random)
  }

  return {
    replace(newRules, seed) {
      rules = newRules.map((rule) => ({ rule, fired: 0 }))
      random = seededRandom(seed)
    },

    mayRefuse: () => rules.some(({ rule }) => isRefusal(rule.kind)),

    list: () => rules.map(({ rule, fired }) => ({ ...rule, fired })),

    choose(target) {
      const wished = grantWish(target)
      if (wished) return wished
      for (const entry of rules) {
        const { rule } = entry
        const isOver = rule.times !== undefined && entry.fired >= rule.times
        if (isOver || !concerns(rule.on, target.operation) || !target.canShow(rule.kind)) continue
        if (rule.event !== undefined && rule.event !== target.event) continue
        if (!hasAll(target.metadata, rule.metadata ?? {}) || random() >= rule.rate) continue
        entry.fired += 1
        return makeFault(rule, random)
      }
      return null
    },
  }
}

function makeFault(rule: FaultRule, random: Random): Fault {
  return {
    kind: rule.kind,
    delayMs: rule.delayMs ?? defaultDelayMs,
    garbageStatus: rule.kind === 'garbage' ? (rule.status ?? (random() < 0.5 ? 200 : 502)) : 502,
    refusalCode: rule.code ?? 'charge_disputed',
  }
}

/** `confirm:drop-after,webhook:twice` */
function parseWishes(text: string | undefined): { on: Operation | 'any'; kind: FaultKind }[] {
  if (text === undefined) return []
  return text.split(',').flatMap((wish) => {
    const [onText, kindText] = wish.split(':')
    const on = [...operations, 'any' as const].find((name) => name === onText)
    const kind = faultKinds.find((name) => name === kindText)
    return on && kind ? [{ on, kind }] : []
  })
}

function concerns(on: Operation | 'any', operation: Operation): boolean {
  return on === 'any' ? operation !== 'webhook' : on === operation
}

function hasAll(metadata: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => withoutTime(metadata[name] ?? '') === withoutTime(value))
}
