import { pause } from '@seatbelt/locks'
import type { NoAnswer } from '@seatbelt/safety'

/** Long enough for a short fault of the gateway. In an outage the run breaks off, and is continued later. */
const pausesMs = [200, 1_000, 3_000]

/** Repeats a read to which no answer came. A read changes nothing, however often it is sent. */
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

/** The gateway could not be read: the run breaks off here, and is continued later. */
export class GatewayUnreadable extends Error {
  constructor(answer: NoAnswer | { readonly kind: string }) {
    const seen = 'reason' in answer ? answer.reason : 'errorCode' in answer ? answer.errorCode : answer.kind
    super(`the gateway's answer was of no use (${seen})`)
    this.name = 'GatewayUnreadable'
  }
}

/** The gateway has no object with this id. */
export function isAbsent(answer: NoAnswer | { readonly kind: string }): boolean {
  return answer.kind === 'rejected' && 'status' in answer && answer.status === 404
}
