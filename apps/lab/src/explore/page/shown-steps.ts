import type { Step } from '@seatbelt/explore'
import { labelOf } from './step-label.ts'

/** Stores equal values once, and refers to them by number: most steps occur in many schedules. */
export class Dictionary<Value> {
  readonly values: Value[] = []
  readonly #numbers = new Map<string, number>()

  add(value: Value): number {
    const key = JSON.stringify(value)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    this.#numbers.set(key, this.values.length)
    return this.values.push(value) - 1
  }
}

export type Text = readonly [label: string, full: string]

/** A step as the scripts of the page draw it. */
export interface ShownStep extends Pick<Step, 'actor' | 'server' | 'outcome' | 'answeredAt' | 'answer' | 'fault'> {
  /** The number of its text in the dictionary. */
  readonly text: number
  /** Its answer came, if at all, after steps of other actors. */
  readonly waits: boolean
  readonly money: Money
}

type Money = 'taken' | 'taken again' | null

export function showSteps(steps: readonly Step[], texts: Dictionary<Text>): ShownStep[] {
  const money = moneyOf(steps)
  return steps.map(({ n, actor, server, text, outcome, answeredAt, answer, fault }, at) => ({
    actor,
    server,
    text: texts.add([labelOf({ server, text }), text]),
    outcome,
    waits: outcome === 'blocked' || (answeredAt ?? n) > n,
    answeredAt,
    answer,
    fault,
    money: money[at] ?? null,
  }))
}

/** How many steps a schedule takes to charge a second time. Null: it does not. */
export function stepsToSecondCharge(steps: readonly Step[]): number | null {
  const at = moneyOf(steps).indexOf('taken again')
  return at < 0 ? null : at + 1
}

/** An intent takes money once. A repeated request for it, such as after a lost answer, takes none. */
function moneyOf(steps: readonly Step[]): Money[] {
  const taken = new Set<string>()
  return steps.map((step) => {
    const intent = intentCharged(step)
    if (intent === null || taken.has(intent)) return null
    taken.add(intent)
    return taken.size === 1 ? 'taken' : 'taken again'
  })
}

function intentCharged({ server, text, answer }: Step): string | null {
  if (server !== 'gateway' || !/\bsucceeded\b/.test(answer ?? '')) return null
  return /^POST (.*)\/(?:confirm|capture)\b/.exec(text)?.[1] ?? null
}

const serverOrder = ['postgres', 'redis', 'gateway'] as const

/** The lifelines of a diagram: those that have a step, in a fixed order. */
export function lifelinesOf(actors: readonly string[], steps: readonly Pick<Step, 'actor' | 'server'>[]) {
  return {
    actors: actors.filter((name) => steps.some(({ actor }) => actor === name)),
    servers: serverOrder.filter((name) => steps.some(({ server }) => server === name)),
  }
}
