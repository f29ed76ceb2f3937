import { createHash } from 'node:crypto'
import type { Execution } from './contract.ts'

/** The part of an execution that must be the same in every replay. */
export type Shown = Pick<Execution, 'actors' | 'steps' | 'endings' | 'violations'>

const ids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(?:pi|ch|re|evt|req|cus)_\w+/g
const times = /\d{4}-\d\d-\d\dT[\d:.]+Z/g

/** Ids become numbers in the order of their appearance, and times of the clock one word. */
export function canonical(shown: Shown): Shown {
  const numbers = new Map<string, string>()
  const numberOf = (id: string) => {
    const known = numbers.get(id) ?? `#${numbers.size + 1}`
    numbers.set(id, known)
    return known
  }
  const plain = (text: string) => text.replace(times, 'TIME').replace(ids, numberOf)
  return {
    actors: shown.actors,
    steps: shown.steps.map((step) => ({ ...step, text: plain(step.text), answer: step.answer && plain(step.answer) })),
    endings: Object.fromEntries(Object.entries(shown.endings).map(([name, words]) => [name, words && plain(words)])),
    violations: shown.violations.map(plain),
  }
}

/** Also of what could have been done otherwise: a replay with other alternatives is another execution. */
export function hashOf(shown: object): string {
  return createHash('sha256').update(JSON.stringify(shown)).digest('hex').slice(0, 16)
}
