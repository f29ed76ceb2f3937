import type { NoAnswer } from './gateway.ts'

/**
 * For a payment's history, and whether the gateway answered at all. Only a person can fix what it answers forever, such
 * as a wrong key of ours.
 */
export function readNoAnswer(answer: NoAnswer): {
  readonly detail: string
  readonly message: string | null
  readonly readable: boolean
} {
  if (answer.kind === 'declined') return { detail: `declined: ${answer.declineCode}`, message: null, readable: true }
  if (answer.kind === 'rejected')
    return { detail: `rejected: ${answer.errorCode}`, message: answer.message, readable: true }
  const { reason, status } = answer
  const detail = status === null ? reason : `${reason} (${status})`
  return { detail, message: null, readable: status !== null }
}
