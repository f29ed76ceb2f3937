import { type Random, seededRandom } from './random.ts'

/** How the simulator can be told to misbehave. */
export const faultKinds = [
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
  /** The card's bank refuses, whatever the card. */
  'decline',
  /** Do it, then answer HTML, with 200 or 502. What is recorded is the true answer: a proxy in between spoilt it. */
  'garbage',
] as const

export type FaultKind = (typeof faultKinds)[number]

export const operations = ['create', 'confirm', 'cancel', 'retrieve', 'list'] as const

export type Operation = (typeof operations)[number]

export interface FaultRule {
  readonly on: Operation | 'any'
  readonly kind: FaultKind
  /** 0 to 1: the share of the requests that it could hit. */
  readonly rate: number
  /** It stops after so many. */
  readonly times?: number | undefined
  /** For the two delays. */
  readonly delayMs?: number | undefined
  /** For `garbage`; without it, one or the other by chance. */
  readonly status?: 200 | 502 | undefined
  /** Only intents whose metadata has all of these. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export interface Fault {
  readonly kind: FaultKind
  readonly delayMs: number
  readonly garbageStatus: 200 | 502
}

/** The request that a fault may hit. */
export interface FaultTarget {
  readonly operation: Operation
  readonly metadata: Readonly<Record<string, string>>
  /** What `metadata.fault` counts by: it hits one subject once. */
  readonly subject: string
  /** A fault that could not show is not spent on the request. */
  readonly canShow: (kind: FaultKind) => boolean
}

export interface Faults {
  replace(rules: readonly FaultRule[], seed: number): void
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
    const wish = parseWish(target.metadata.fault)
    if (!wish || !concerns(wish.on, target.operation) || !target.canShow(wish.kind)) return null
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

    list: () => rules.map(({ rule, fired }) => ({ ...rule, fired })),

    choose(target) {
      const wished = grantWish(target)
      if (wished) return wished
      for (const entry of rules) {
        const { rule } = entry
        const isOver = rule.times !== undefined && entry.fired >= rule.times
        if (isOver || !concerns(rule.on, target.operation) || !target.canShow(rule.kind)) continue
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
  }
}

/** `confirm:drop-after` */
function parseWish(text: string | undefined): { on: Operation | 'any'; kind: FaultKind } | null {
  const [onText, kindText] = text?.split(':') ?? []
  const on = [...operations, 'any' as const].find((name) => name === onText)
  const kind = faultKinds.find((name) => name === kindText)
  return on && kind ? { on, kind } : null
}

function concerns(on: Operation | 'any', operation: Operation): boolean {
  return on === 'any' || on === operation
}

function hasAll(metadata: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => metadata[name] === value)
}
