import type { NoAnswer } from './gateway.ts'

type Unknown = Extract<NoAnswer, { kind: 'unknown' }>

/** What a passage says to itself instead of sending a request for which its lease has no time. */
export const leaseOver: Unknown = {
  kind: 'unknown',
  reason: 'lease-over',
  status: null,
  replayed: false,
  requestId: null,
}

/** Did anybody answer at all? What is answered so for ever, as with a wrong key of ours, only a person can mend. */
export function isReadable(answer: Unknown): boolean {
  return answer.status !== null
}

/** For a payment's history. */
export function describeNoAnswer(answer: NoAnswer): string {
  switch (answer.kind) {
    case 'declined':
      return `declined: ${answer.declineCode}`
    case 'rejected':
      return `rejected: ${answer.errorCode}`
    case 'unknown':
      return answer.status === null ? answer.reason : `${answer.reason} (${answer.status})`
    default:
      return answer satisfies never
  }
}
