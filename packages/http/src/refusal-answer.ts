import type { Refusal } from '@seatbelt/domain'
import type { Answer } from './answer.ts'
import { problem } from './problem.ts'
import { type RefusalRow, refusalTable } from './refusal-table.ts'

/** A refusal as its problem, by the one table. */
export function refusalAnswer(refusal: Refusal): Answer {
  const row: Pick<RefusalRow, 'detail'> & { readonly members: readonly string[] } = refusalTable[refusal.code]
  const members = Object.fromEntries(Object.entries(refusal).filter(([name]) => row.members.includes(name)))
  return problem(refusal.code, row.detail, {
    members,
    headers: 'retryAfterSeconds' in refusal ? { 'Retry-After': String(refusal.retryAfterSeconds) } : {},
  })
}
