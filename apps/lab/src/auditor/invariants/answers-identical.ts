import { type Attempt, isRecordedAnswer } from '../attempt.ts'
import { type Evidence, groupBy, type RecordedAnswerRow } from '../evidence.ts'
import type { Invariant, Violation } from '../invariant.ts'

/**
 * A key has one recorded answer, and every client that came with the key got it: status, place and every byte of the
 * body. The answer in the database is compared too, because it is what the next client will get. Whatever the operation was:
 * also one that was a single transaction, and so started no payment.
 */
export const answersIdentical: Invariant = {
  id: 'I8',
  claim: 'all recorded answers to one idempotency key are identical',
  check: (evidence) => {
    const attempts = [...evidence.attempts, ...evidence.seats.attempts]
    const given = groupBy(attempts.filter(isRecordedAnswer), (attempt) => attempt.key)
    const recorded = recordedAnswers(evidence)
    const comparisons = [...given].map(([key, attempts]) => {
      const answers = new Set(attempts.map(answerOf))
      const stored = recorded.get(key) ?? []
      for (const row of stored) answers.add(rowAnswer(row))
      return { key, answers, isRecorded: stored.length > 0, compared: attempts.length + stored.length }
    })
    return {
      checked: comparisons.filter(({ compared }) => compared > 1).length,
      violations: comparisons.flatMap(({ key, answers, isRecorded }): Violation[] => {
        if (answers.size > 1) return [{ subject: key, what: `${answers.size} answers: ${[...answers].join(' | ')}` }]
        return isRecorded ? [] : [{ subject: key, what: 'answered for good, but no answer is recorded' }]
      }),
    }
  },
}

/** Keys belong to accounts, and attempts do not name theirs: the order or the event that it was about does. */
function recordedAnswers({ attempts, books, seats }: Evidence): Map<string, RecordedAnswerRow[]> {
  const accounts = new Map([...books.orders, ...seats.books.events].map(({ id, accountId }) => [id, accountId]))
  const asked = new Set([
    ...attempts.map(({ key, orderId }) => `${accounts.get(orderId)} ${key}`),
    ...seats.attempts.map(({ key, eventId }) => `${accounts.get(eventId)} ${key}`),
  ])
  const ofThisRun = books.recordedAnswers.filter((row) => asked.has(`${row.accountId} ${row.key}`))
  return groupBy(ofThisRun, (row) => row.key)
}

function answerOf(attempt: Pick<Attempt, 'status' | 'location' | 'bodySha256'>): string {
  return `${attempt.status} ${attempt.location ?? '-'} ${attempt.bodySha256 ?? '-'}`
}

function rowAnswer(row: RecordedAnswerRow): string {
  return `${row.status} ${row.location ?? '-'} ${row.bodySha256}`
}
