import type { Socket } from 'node:net'

export type Direction = 'to-server' | 'to-client'
export type Verdict = 'forward' | 'stop'

/** What is held in one direction of one connection. Beyond it the sender must stop, as with a full network. */
const maxHeldBytes = 4 * 1024 * 1024

export interface Parcel {
  readonly bytes: Buffer
  readonly delayMs: number
  /** Called once, when it is this parcel's turn. A stopped parcel is forwarded after `unblock`. */
  examine(): Verdict
  forwarded(): void
}

interface Queued extends Parcel {
  readonly dueAtMs: number
  isExamined: boolean
}

/** One direction of one connection: a queue that is emptied in order, as far as nothing holds it. */
export class Flow {
  readonly #source: Socket
  readonly #destination: Socket
  readonly #queue: Queued[] = []
  #heldBytes = 0
  #isHeld: boolean
  #isBlocked = false
  #isEnding = false
  #isStopped = false
  #timer: NodeJS.Timeout | undefined

  constructor(source: Socket, destination: Socket, isHeld: boolean) {
    this.#source = source
    this.#destination = destination
    this.#isHeld = isHeld
  }

  push(parcel: Parcel): void {
    this.#queue.push({ ...parcel, dueAtMs: performance.now() + parcel.delayMs, isExamined: false })
    this.#heldBytes += parcel.bytes.length
    if (this.#heldBytes >= maxHeldBytes) this.#source.pause()
    this.#drain()
  }

  end(): void {
    this.#isEnding = true
    this.#drain()
  }

  setHeld(isHeld: boolean): void {
    this.#isHeld = isHeld
    this.#drain()
  }

  /** Nothing passes until `unblock`. */
  block(): void {
    this.#isBlocked = true
  }

  unblock(): void {
    this.#isBlocked = false
    this.#drain()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #drain(): void {
    clearTimeout(this.#timer)
    while (!this.#isStopped && !this.#isHeld && !this.#isBlocked) {
      const parcel = this.#queue[0]
      if (parcel === undefined) {
        if (this.#isEnding) this.#destination.end()
        return
      }
      const earlyMs = parcel.dueAtMs - performance.now()
      if (earlyMs > 0) {
        this.#timer = setTimeout(() => this.#drain(), Math.ceil(earlyMs))
        return
      }
      if (!this.#passes(parcel)) return
      this.#queue.shift()
      this.#heldBytes -= parcel.bytes.length
      if (this.#heldBytes < maxHeldBytes) this.#source.resume()
      this.#destination.write(parcel.bytes)
      parcel.forwarded()
    }
  }

  #passes(parcel: Queued): boolean {
    if (parcel.isExamined) return true
    parcel.isExamined = true
    return parcel.examine() === 'forward'
  }
}
