import type { Refusal } from '@seatbelt/domain'
import type { RedisClient } from '@seatbelt/locks'
import { ConsecutiveBreaker, circuitBreaker, handleAll, type IPolicy } from 'cockatiel'
import type { CheapDoor, Guarded } from './guard.ts'
import type { Call } from './idempotency-key.ts'

/**
 * Layer 0, the cheap door of holds: a hint per seat in Redis that says which request is taking it, or has it.
 *
 * Guarantees: while Redis works, whoever asks for a seat that another request is taking, has just taken, or has just found taken,
 * is refused after one round trip, without a connection to the database. All seats of a request are hinted or none. A
 * request that got through gets through again with its key, so that whoever lost the answer finds it, however long others storm
 * the seat. When Redis is down or slow the door is open: within
 * its budget at first, and without asking at all while the circuit is open.
 * Does not guarantee: that a seat is taken, or free. A hint that is left behind, because its process died or its deletion was
 * lost, refuses a free seat until it is over; so does one that outlives a claim which lapsed. Where Redis has forgotten that a key
 * got through, a 409 may precede the answer that is recorded for it. A lost hint lets everybody through. Truth is the claim's row.
 * Fails with: `seats-taken` as a value, with the seats that are hinted.
 * Source: Redis's documentation, "SET" (NX, PX) and "Scripting with Lua"; M. Nygard, "Release It!", chapter "Circuit Breaker".
 */
export interface SeatHintLayer {
  /** The door for a hold of these seats. */
  door(seatIds: readonly string[]): CheapDoor
  /** The seats are free again: whoever asks next goes through. Returns at once. */
  forget(accountId: string, seatIds: readonly string[]): void
}

export interface SeatHintOptions {
  /** With `redisLockClientOptions`: one that fails at once while Redis is away. It stays the caller's to close. */
  readonly client: RedisClient
  /** No single command is waited for longer. */
  readonly commandBudgetMs: number
  readonly metrics: SeatHintMetrics
  /** In front of each seat; `seat:` by default. */
  readonly keyPrefix?: string
}

export interface SeatHintMetrics {
  /** Somebody else was at the seats: it cost the database nothing. */
  refused(): void
  /** Redis was not to be asked: the layers below decide. */
  bypassed(): void
}

/**
 * How long a hint stays. A request's work takes a tenth of it, so that it is covered; and a seat that came free unnoticed is
 * refused no longer than a person needs to try again.
 */
const hintMs = 2_000
/**
 * How long a key gets through again: longer than any client asks for an answer that it lost. Those that lost are forgotten at once,
 * so that this is a few hundred bytes for each hold of the last five minutes.
 */
const passMs = 5 * 60_000
/** So many failures in a row are no coincidence: each of them may have cost its caller the budget. */
const failuresToOpen = 5
/** How long nobody asks a Redis that does not answer. One request in this time pays for looking whether it is back. */
const openMs = 2_000

export function createSeatHintLayer(options: SeatHintOptions): SeatHintLayer {
  const { metrics, keyPrefix = 'seat:' } = options
  const run = createRunner(options)
  // The account is in it: nobody is kept from his seats by a stranger who names them.
  const keysOf = (accountId: string, seatIds: readonly string[]) =>
    seatIds.map((seatId) => `${keyPrefix}${accountId}:${seatId}`)
  const passOf = ({ accountId, key }: Call) => `${keyPrefix}pass:${accountId}:${key}`

  return {
    door: (seatIds) => async (call, work) => {
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
      try {
        const result = await work()
        takenNow = takenBy(result, seatIds)
        // Only this is the word on the seats; any other refusal may be that of a copy, while the first one goes on.
        if (isLost(result)) run(forgetScript, [passOf(call)]).catch(leftToExpire)
        return result
      } finally {
        const wrong = seen.hintedIds.filter((id) => !takenNow.includes(id))
        if (wrong.length > 0) run(giveBackScript, keysOf(call.accountId, wrong), call.key).catch(leftToExpire)
      }
    },
    forget: (accountId, seatIds) => {
      if (seatIds.length > 0) run(forgetScript, keysOf(accountId, seatIds)).catch(leftToExpire)
    },
  }
}

/** Which seats somebody has, by what came of the request. A replayed answer says what was true once. */
function takenBy(result: Guarded<never>, seatIds: readonly string[]): readonly string[] {
  if (result.kind === 'answered') return result.replayed ? [] : seatIds
  return isLost(result) ? result.refusal.seatIds : []
}

type Lost = { readonly kind: 'refused'; readonly refusal: Extract<Refusal, { code: 'seats-taken' }> }

function isLost(result: Guarded<never>): result is Lost {
  return result.kind === 'refused' && result.refusal.code === 'seats-taken'
}

type Run = (lua: string, keys: readonly string[], ...args: readonly (string | number)[]) => Promise<unknown>

/** The whole script and not its hash: some 300 bytes, and never a second round trip to a Redis that does not know it. */
function createRunner({ client, commandBudgetMs }: SeatHintOptions): Run {
  const circuit: IPolicy = circuitBreaker(handleAll, {
    halfOpenAfter: openMs,
    breaker: new ConsecutiveBreaker(failuresToOpen),
  })
  return (lua, keys, ...args) =>
    circuit.execute(() => withinBudget(client.eval(lua, keys.length, ...keys, ...args), commandBudgetMs))
}

/** Late is who has not answered when what has arrived was read: this process may have been busy itself. */
function withinBudget<T>(asked: Promise<T>, budgetMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new Error(`Redis took longer than ${budgetMs} ms`))
    const timer = setTimeout(() => setImmediate(giveUp), budgetMs)
    asked.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function leftToExpire(): void {
  // Redis is away. What stays refuses a free seat until it is over.
}

interface Seen {
  /** By other requests. */
  readonly takenIds: readonly string[]
  /** By this one, just now: what an earlier copy of it hinted is that one's to take back. */
  readonly hintedIds: readonly string[]
}

function readSeen(seatIds: readonly string[]): (reply: unknown) => Seen {
  return (reply) => {
    const [taken = [], hinted = []] = reply as number[][]
    const named = (places: readonly number[]) => seatIds.filter((_, at) => places.includes(at + 1))
    return { takenIds: named(taken), hintedIds: named(hinted) }
  }
}

/**
 * The first key is the request's pass, the others are the seats'. Hints all seats for this request, or none. Answers the places of
 * those that are others', and of those it hinted: neither, where it got through before.
 */
const takeScript = `
local seen = redis.call('MGET', unpack(KEYS))
if seen[1] then return {{}, {}} end
local others, free = {}, {}
for place = 1, #KEYS - 1 do
  local taker = seen[place + 1]
  if not taker then free[#free + 1] = place
  elseif taker ~= ARGV[1] then others[#others + 1] = place end
end
if #others > 0 then return {others, {}} end
for _, place in ipairs(free) do redis.call('SET', KEYS[place + 1], ARGV[1], 'PX', ARGV[2]) end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[3])
return {others, free}`

/** Deletes those that still carry this key. A plain DEL would delete the hints of whoever came after. */
const giveBackScript = `
for place, taker in ipairs(redis.call('MGET', unpack(KEYS))) do
  if taker == ARGV[1] then redis.call('DEL', KEYS[place]) end
end
return 1`

const forgetScript = `return redis.call('DEL', unpack(KEYS))`
