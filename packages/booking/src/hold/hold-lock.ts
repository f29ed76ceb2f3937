import { inProgressRetryAfterSeconds } from '@seatbelt/domain'
import type { Call, MeetingPoint } from '@seatbelt/safety'

/** Where those meet who decide about one hold. The account is in it: a stranger contends with nobody. */
export function atHold({ accountId }: Call, holdId: string): MeetingPoint {
  return {
    resource: `hold:${accountId}:${holdId}`,
    contended: { code: 'hold-checking-out', holdId, retryAfterSeconds: inProgressRetryAfterSeconds },
  }
}
