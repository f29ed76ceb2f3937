import { backoffMs, pause } from './backoff.ts'
import { type RedisClient, releaseScript } from './redis-scripts.ts'
import { withinBudget } from './within-budget.ts'

/** More than this many at once means that Redis has been gone for a while: then the TTLs do it. */
const maxPending = 1_000
/** The first goes out at once; the following find a reconnected client. */
const pauses = { baseMs: 50, maxMs: 1_000 }

/**
 * Gives back locks that nobody holds but that Redis may have granted: the answer was late, the caller gone.
 *
 * On a connection that lives, the release stands behind the SET in the same pipeline, so one is enough, answered or not. After a
 * lost connection it is sent again, until an answer came or the TTL is over. Works in the background and never throws.
 */
export function createGiveBack(client: RedisClient, budgetMs: number): GiveBack {
  let pending = 0

  return async (key, token, untilMs) => {
    if (pending >= maxPending) return
    pending++
    try {
      for (let failures = 0; performance.now() < untilMs && client.status !== 'end'; failures++) {
        // The whole script and not its hash: a NOSCRIPT that nobody is there to read would leave the lock.
        const sent = client.eval(releaseScript.lua, 1, key, token)
        const answer = await withinBudget(sent, budgetMs)
        if (answer.kind === 'answered') return
        await pause(backoffMs(failures, pauses))
      }
    } finally {
      pending--
    }
  }
}

/** `untilMs`: when the lock is over by itself, in `performance.now()`. */
export type GiveBack = (key: string, token: string, untilMs: number) => Promise<void>
