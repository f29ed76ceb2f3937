/** One wait of a client for a server, and what the client had sent by then. */
export interface Trip {
  readonly carried: readonly string[]
}

/** One connection, as its bytes pass by. Both calls take the bytes in any pieces. */
export interface Conversation {
  clientSent(chunk: Buffer): void
  serverAnswered(chunk: Buffer): void
  readonly trips: readonly Trip[]
}

/**
 * Counts round trips: one begins when the client sends something although it has every answer to what it sent before.
 *
 * Messages that the client sends while an answer is still missing belong to the trip that is under way, because the
 * client did not wait for that answer.
 */
export class TripCounter {
  readonly #trips: { carried: string[] }[] = []
  #missingAnswers = 0
  /** The client has sent part of a request that the server will not answer before the rest is there. */
  #isHalfSent = false

  /** `asksForAnswer`: the server answers when it has seen this message and what came before it. */
  sent(text: string | null, asksForAnswer: boolean): void {
    if (this.#missingAnswers === 0 && !this.#isHalfSent) this.#trips.push({ carried: [] })
    if (text !== null) this.#trips.at(-1)?.carried.push(text)
    this.#isHalfSent = !asksForAnswer
    if (asksForAnswer) this.#missingAnswers += 1
  }

  /** Messages that the server sends on its own, such as notifications, are no answers. */
  answered(): void {
    this.#missingAnswers = Math.max(0, this.#missingAnswers - 1)
  }

  get trips(): readonly Trip[] {
    return this.#trips
  }
}
