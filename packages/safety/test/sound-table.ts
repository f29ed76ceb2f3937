import { expect } from 'vitest'
import type { Transition } from '../src/gateway-protocol/run-protocol.ts'

/** Each request of a table is sent by some row and answered by some row, and each row decides something. */
export function expectSoundTable(table: readonly Transition[]): void {
  const sent = new Set(table.map(([, , , then]) => then).filter((then) => !/^(end|unknown|orphan)/.test(then)))
  const answered = new Set(table.map(([after]) => after).filter((after) => after !== 'any'))
  expect(answered).toEqual(new Set(['nothing', ...sent]))

  const seen = new Set([...table.flatMap(([, listed]) => listed), 'unclear'].filter((word) => word !== 'any'))
  const deciding = new Set<Transition | undefined>()
  for (const after of answered)
    for (const word of seen) deciding.add(table.find((row) => fits([row[0]], after) && fits([row[1]].flat(), word)))
  expect(table.filter((row) => !deciding.has(row))).toEqual([])
}

function fits(listed: readonly string[], word: string): boolean {
  return listed.includes('any') || listed.includes(word)
}
