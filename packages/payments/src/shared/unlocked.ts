import { inProgressRetryAfterSeconds } from '@seatbelt/domain'

/**
 * For a transaction without an advisory lock: its rows are new, or it locks the row that it decides about. Two copies
 * of one request meet at the primary key of `idempotency_keys`.
 */
export const unlocked = {
  resource: null,
  contended: { code: 'request-in-progress', retryAfterSeconds: inProgressRetryAfterSeconds },
} as const
