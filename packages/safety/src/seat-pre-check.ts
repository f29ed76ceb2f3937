import { CommitUnknown } from '@seatbelt/database'
import type { Call, Refusal } from '@seatbelt/domain'
import type { RedisClient } from '@seatbelt/locks'
import { ConsecutiveBreaker, circuitBreaker, handleAll, type IPolicy } from 'cockatiel'
import type { PreCheck } from './operation.ts'
import type { Guarded } from './result.ts'

/**
 * Layer 0, the pre-check of holds: a hint per seat in Redis says which request is taking the seat, or has it.
 *
 * Guarantees: while Redis works, a request for a seat that another request is taking, has just taken, or has just found
 * taken, is refused after one round trip to Redis, without a connection to the database. All seats of a request are
 * hinted or none. A request that passed passes again with its key, so that a client that lost the answer receives it,
 * however many others want the seat. When Redis is down or slow, requests pass: after the budget at first, and at once
 * while the circuit is open.
 * Does not guarantee: that a seat is taken, or free. A hint whose process died, or that outlives a lapsed claim,
 * refuses a free seat until the hint expires. If Redis lost the pass of a key, a 409 may precede the recorded answer.
 * If Redis lost a hint, all requests pass. The claim's row is the truth.
 * Fails with: `seats-taken` as a value, with the seats that are hinted.
 * Source: Redis's documentation, "SET" (NX, PX) and "Scripting with Lua"; M. Nygard, "Release It!", chapter "Circuit
 * Breaker".
 */
export interface SeatPreCheckLayer {
  /** For a hold of these seats. */
  preCheck(seatIds: readonly string[]): PreCheck
  /** The seats are free again, so the next request for them passes. Returns at once. */
  forget(accountId: string, seatIds: readonly string[]): void
}

export interface SeatPreCheckOptions {
  /** With `redisLockClientOptions`, so that it fails at once while Redis is away. The caller closes it. */
  readonly client: RedisClient
  /** The longest wait for one command. */
  readonly commandBudgetMs: number
  readonly metrics: SeatPreCheckMetrics
  /** In front of each seat; `seat:` by default. */
  readonly keyPrefix?: string
}

export interface SeatPreCheckMetrics {
  /** Another request has the seats: the refusal cost the database nothing. */
  refused(): void
  /** Redis did not answer: the layers below decide. */
  bypassed(): void
}

/**
 * How long a hint lives. A request takes a tenth of it, so its work is covered. A seat that became free unnoticed is
 * refused no longer than a person needs to try again.
 */
const hintMs = 2_000
/**
 * How long a key passes again: longer than any client retries for a lost answer. The pass of a request that was refused
 * or failed is deleted at once, so this is a few hundred bytes for each hold of the last five minutes.
 */
const passMs = 5 * 60_000
/** So many failures in a row are no coincidence. Each of them may have cost its caller the budget. */
const failuresToOpen = 5
/** How long the circuit stays open. Then one request tries Redis again. */
const openMs = 2_000

export function createSeatPreCheckLayer(options: SeatPreCheckOptions): SeatPreCheckLayer {
  const { metrics, keyPrefix = 'seat:' } = options
  const run = createRunner(options)
  // With the account, so that no account can block the seats of another one by naming them.
  const keysOf = (accountId: string, seatIds: readonly string[]) =>
    seatIds.map((seatId) => `${keyPrefix}${accountId}:${seatId}`)
  const passOf = ({ accountId, key }: Call) => `${keyPrefix}pass:${accountId}:${key}`

  return {
    preCheck: (seatIds) => async (call, work) => {
      const keys = [passOf(call), ...keysOf(call.accountId, seatIds)]
      const seen = await run(takeScript, keys, call.key, hintMs, passMs).then(readSeen(seatIds), () => null)
      if (seen === null) {
        metrics.bypassed()
        return work()
      }
      if (seen.takenIds.length > 0) {
        metrics.refused()
        return { kind: 'refused', refusal: { code: 'seats-taken', seatIds: seen.takenIds } }
      }
      let takenNow: readonly string[] = []
      let mayHaveAnswer = false
      try {
        const result = await work()
        takenNow = takenBy(result, seatIds)
        mayHaveAnswer = result.kind !== 'refused'
        return result
      } catch (fault) {
        mayHaveAnswer = fault instanceof CommitUnknown
        throw fault
      } finally {
        // A refused copy leaves the pass to the first request, which may go on.
        if (seen.isFirst && !mayHaveAnswer) run(forgetScript, [passOf(call)]).catch(leaveToExpire)
        const wrong = seen.hintedIds.filter((id) => !takenNow.includes(id))
        if (wrong.length > 0) run(removeHintsScript, keysOf(call.accountId, wrong), call.key).catch(leaveToExpire)
      }
    },
    forget: (accountId, seatIds) => {
      if (seatIds.length > 0) run(forgetScript, keysOf(accountId, seatIds)).catch(leaveToExpire)
    },
  }
}

/** The seats that are taken, by the result of the request. A replayed answer says what was true once. */
function takenBy(result: Guarded<never>, seatIds: readonly string[]): readonly string[] {
  if (result.kind === 'answered') return result.replayed ? [] : seatIds
  return isLost(result) ? result.refusal.seatIds : []
}

type Lost = { readonly kind: 'refused'; readonly refusal: Extract<Refusal, { code: 'seats-taken' }> }

function isLost(result: Guarded<never>): result is Lost {
  return result.kind === 'refused' && result.refusal.code === 'seats-taken'
}

type Run = (lua: string, keys: readonly string[], ...args: readonly (string | number)[]) => Promise<unknown>

/**
 * Sends the whole script and not its hash: some 300 bytes, and never a second round trip to a Redis that does not know
 * it.
 */
function createRunner({ client, commandBudgetMs }: SeatPreCheckOptions): Run {
  const circuit: IPolicy = circuitBreaker(handleAll, {
    halfOpenAfter: openMs,
    breaker: new ConsecutiveBreaker(failuresToOpen),
  })
  return (lua, keys, ...args) =>
    circuit.execute(() => withinBudget(client.eval(lua, keys.length, ...keys, ...args), commandBudgetMs))
}

/**
 * On time-out, drains replies that have already arrived. A slow reply may only mean that our own event loop was busy.
 */
function withinBudget<T>(reply: Promise<T>, budgetMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new Error(`Redis took longer than ${budgetMs} ms`))
    const timer = setTimeout(() => setImmediate(giveUp), budgetMs)
    reply.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function leaveToExpire(): void {
  // Redis is away. A hint that stays refuses a free seat until it expires.
}

interface Seen {
  /** By other requests. */
  readonly takenIds: readonly string[]
  /** By this request, just now. A hint of an earlier copy is that copy's to remove. */
  readonly hintedIds: readonly string[]
  /** This request received the pass of its key. */
  readonly isFirst: boolean
}

function readSeen(seatIds: readonly string[]): (reply: unknown) => Seen {
  return (reply) => {
    const [taken, hinted, first] = reply as [number[], number[], 0 | 1]
    const named = (places: readonly number[]) => seatIds.filter((_, at) => places.includes(at + 1))
    return { takenIds: named(taken), hintedIds: named(hinted), isFirst: first === 1 }
  }
}

/**
 * The first key is the request's pass, the others are the seats'. Hints all seats for this request, or none.
 *
 * Returns the places of the seats that other requests have, and of those that it hinted, and whether it gave the pass.
 * If the request passed before, there are none of either.
 */
const takeScript = `
local seen = redis.call('MGET', unpack(KEYS))
if seen[1] then return {{}, {}, 0} end
local others, free = {}, {}
for place = 1, #KEYS - 1 do
  local taker = seen[place + 1]
  if not taker then free[#free + 1] = place
  elseif taker ~= ARGV[1] then others[#others + 1] = place end
end
if #others > 0 then return {others, {}, 0} end
for _, place in ipairs(free) do redis.call('SET', KEYS[place + 1], ARGV[1], 'PX', ARGV[2]) end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[3])
return {others, free, 1}`

/** Deletes those that still carry this key. A plain DEL would delete the hints of a later request. */
const removeHintsScript = `
for place, taker in ipairs(redis.call('MGET', unpack(KEYS))) do
  if taker == ARGV[1] then redis.call('DEL', KEYS[place]) end
end
return 1`

const forgetScript = `return redis.call('DEL', unpack(KEYS))`
