import type { NoAnswer } from './gateway.ts'

/**
 * For a payment's history, and whether the gateway answered at all. Only a person can fix what it answers forever, such
 * as a wrong key of ours.
 */
export function readNoAnswer(answer: NoAnswer): { readonly detail: string; readonly readable: boolean } {
  if (answer.kind === 'declined') return { detail: `declined: ${answer.declineCode}`, readable: true }
  if (answer.kind === 'rejected') return { detail: `rejected: ${answer.errorCode}`, readable: true }
  const { reason, status } = answer
  return { detail: status === null ? reason : `${reason} (${status})`, readable: status !== null }
}
