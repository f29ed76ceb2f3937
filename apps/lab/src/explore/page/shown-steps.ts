import type { Step } from '@seatbelt/explore'
import { type Money, moneyOf, type Note, notesOf, type Recorded } from './step-facts.ts'
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
export interface ShownStep extends Pick<Step, 'actor' | 'server' | 'outcome' | 'answer' | 'fault'> {
  /** The number of its text in the dictionary. */
  readonly text: number
  /** Its answer came, if at all, after steps of other actors. */
  readonly waits: boolean
  /** The step after which the wait ended. Null: it did not, or there was none. */
  readonly answeredAt: number | null
  readonly money: Money
  readonly notes: readonly Note[]
}

export function showSteps(execution: Recorded, texts: Dictionary<Text>): ShownStep[] {
  const { steps } = execution
  const [money, notes] = [moneyOf(steps), notesOf(execution)]
  return steps.map((step, at) => {
    const { actor, server, outcome, answer, fault, text } = step
    const waits = outcome === 'blocked' || (step.answeredAt ?? at) > at
    const shown = { actor, server, outcome, answer, fault, waits, answeredAt: waits ? endOfWait(step, steps) : null }
    return {
      ...shown,
      text: texts.add([labelOf({ server, text }), text]),
      money: money[at] ?? null,
      notes: notes[at] ?? [],
    }
  })
}

/** The scheduler ends a wait (deadlock_detected, lock_not_available) between two steps: it is seen with the second. */
function endOfWait({ answeredAt }: Step, steps: readonly Step[]): number | null {
  if (answeredAt === null) return null
  const isEnded = steps.some((one) => one.answeredAt === answeredAt && /\b(40P01|55P03)\b/.test(one.answer ?? ''))
  return isEnded ? Math.min(answeredAt + 1, steps.length - 1) : answeredAt
}

/** The lifelines of a diagram: those that have a step, in a fixed order. */
export function lifelinesOf(actors: Iterable<string>, steps: readonly Pick<Step, 'actor' | 'server'>[]) {
  return {
    actors: [...actors].filter((name) => steps.some(({ actor }) => actor === name)),
    servers: (['postgres', 'redis', 'gateway'] as const).filter((name) => steps.some(({ server }) => server === name)),
  }
}
