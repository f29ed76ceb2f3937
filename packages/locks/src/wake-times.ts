/**
 * Wakes many with one timer: whoever is due at the same moment is woken together, and to put somebody in or out costs no
 * timer. Ten thousand held leases are then some dozens of wake-ups a second, and what they send leaves together.
 *
 * **Guarantees**: nobody is woken more than a millisecond before its time, and nobody later than by a timer of its own. It keeps no process
 * alive, and no timer longer than `lingerMs` when nobody is left to be woken.
 *
 * **Does not guarantee**: a time; a timer is late while the event loop is blocked, as any other is.
 *
 * **Fails with**: nothing. What one `wake` throws is thrown at the process, as from a timer of its own; the others are
 * woken all the same.
 *
 * **Source**: George Varghese and Tony Lauck, "Hashed and Hierarchical Timing Wheels", 1987.
 */
export function wakeAt(sleeper: Sleeper, atMs: number): void {
  if (sleeper.slot?.atMs === atMs) return
  wakeNoMore(sleeper)
  const slot = slots.get(atMs) ?? openSlot(atMs)
  sleeper.slot = slot
  sleeper.next = slot.first
  if (slot.first !== undefined) slot.first.previous = sleeper
  slot.first = sleeper
}

export function wakeNoMore(sleeper: Sleeper): void {
  const { slot, next, previous } = sleeper
  if (slot === undefined) return
  if (next !== undefined) next.previous = previous
  if (previous !== undefined) previous.next = next
  else slot.first = next
  sleeper.slot = undefined
  sleeper.next = undefined
  sleeper.previous = undefined
}

export interface Sleeper {
  // Kept by this file: a list that is its own members, because a set is made anew for every few that come and go.
  slot: WakeSlot | undefined
  next: Sleeper | undefined
  previous: Sleeper | undefined
  /** `nowMs` is not before the time that was asked for, although a timer may be early by a millisecond. */
  wake(nowMs: number): void
}

export interface WakeSlot {
  readonly atMs: number
  first: Sleeper | undefined
}

/**
 * What times are rounded to, so that they meet: a power of two, which brings different time spans together too, at least
 * 1 ms and at most this share of the whole span. Whoever asks rounds to the side that is safe.
 */
export function roundingMs(spanMs: number, share: number): number {
  return 1 << Math.max(0, Math.min(6, 31 - Math.clz32(spanMs * share)))
}

/** So often it is looked whether anybody is left. Leases come and go by the thousand: a timer for each would be dear. */
const lingerMs = 100
/** Timers may be early by this. */
const earlyMs = 1

/** By the time of `performance.now()`, rounded by those who ask. Those whose sleepers have gone stay until the next look. */
const slots = new Map<number, WakeSlot>()
let timer: NodeJS.Timeout | undefined
let timerAtMs = Number.POSITIVE_INFINITY

function openSlot(atMs: number): WakeSlot {
  const slot = { atMs, first: undefined }
  slots.set(atMs, slot)
  if (atMs < timerAtMs) setTimer(atMs)
  return slot
}

function setTimer(atMs: number): void {
  clearTimeout(timer)
  const nowMs = performance.now()
  timerAtMs = Math.min(atMs, nowMs + lingerMs)
  timer = setTimeout(look, Math.max(1, timerAtMs - nowMs))
  timer.unref()
}

function look(): void {
  // Those who are put to sleep again while others are woken do not set it.
  timerAtMs = Number.NEGATIVE_INFINITY
  const nowMs = performance.now()
  let nextAtMs = Number.POSITIVE_INFINITY
  for (const slot of slots.values()) {
    if (slot.atMs <= nowMs + earlyMs) {
      slots.delete(slot.atMs)
      wakeAll(slot, Math.max(slot.atMs, nowMs))
    } else if (slot.first === undefined) slots.delete(slot.atMs)
    else nextAtMs = Math.min(nextAtMs, slot.atMs)
  }
  timerAtMs = Number.POSITIVE_INFINITY
  if (slots.size > 0) setTimer(nextAtMs)
}

function wakeAll(slot: WakeSlot, nowMs: number): void {
  for (let sleeper = slot.first; sleeper !== undefined; sleeper = slot.first) {
    wakeNoMore(sleeper)
    try {
      sleeper.wake(nowMs)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
