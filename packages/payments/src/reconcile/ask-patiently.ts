import { pause } from '@seatbelt/locks'
import type { NoAnswer } from '@seatbelt/safety'

/** Nobody waits for the answer, and a run that breaks off is gone on with: enough for a gateway that hiccups, not for one that is away. */
const pausesMs = [200, 1_000, 3_000]

/** Asks again where no answer came. For looks alone: they change nothing, however often they are sent. */
export async function askPatiently<Answer extends { readonly kind: string }>(
  ask: () => Promise<Answer | NoAnswer>,
): Promise<Answer | NoAnswer> {
  for (const pauseMs of pausesMs) {
    const answer = await ask()
    if (answer.kind !== 'unknown') return answer
    await pause(pauseMs)
  }
  return ask()
}

/** The gateway could not be read: the run breaks off here, and is gone on with later. */
export interface Unanswered {
  readonly kind: 'unanswered'
  readonly reason: string
}

export function unanswered(answer: NoAnswer | { readonly kind: string }): Unanswered {
  const said = 'reason' in answer ? answer.reason : 'errorCode' in answer ? answer.errorCode : answer.kind
  return { kind: 'unanswered', reason: `the gateway's answer was of no use (${said})` }
}

/** The gateway says that it does not have what was asked for by its id. */
export function isAbsent(answer: NoAnswer | { readonly kind: string }): boolean {
  return answer.kind === 'rejected' && 'status' in answer && answer.status === 404
}
