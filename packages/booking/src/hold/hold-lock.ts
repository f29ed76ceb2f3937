import { type Call, inProgressRetryAfterSeconds } from '@seatbelt/domain'
import type { LockTarget } from '@seatbelt/safety'

/** The lock of all operations that decide about one hold. The account is part of it, so that accounts never contend. */
export function holdLock({ accountId }: Call, holdId: string): LockTarget {
  return {
    resource: `hold:${accountId}:${holdId}`,
    contended: { code: 'hold-checking-out', holdId, retryAfterSeconds: inProgressRetryAfterSeconds },
  }
}
