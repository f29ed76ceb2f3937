import type { WireMessage } from './wire-messages.ts'

export interface InterceptionRule {
  readonly matches: (message: WireMessage) => boolean
  /** The number of the matching message, counted over all connections from now on; 1 by default. */
  readonly nth?: number
  /**
   * `request`: the server has not seen the message yet. `answer`: the server has, and its whole answer is at the proxy.
   * Earlier answers that have not passed by then stay with it.
   */
  readonly at: 'request' | 'answer'
}

export interface Interception {
  /** Resolves when the message or its answer stands in the proxy; rejects after the proxy's bound. */
  reached(): Promise<WireMessage>
  /** Lets it through. */
  pass(): void
  /** Resets the connection, with the message or the answer in it. */
  cut(): void
}

type Choices = Pick<Interception, 'pass' | 'cut'>

/** A rule that has not fired yet; it fires once. */
export class PendingRule implements Interception {
  readonly #rule: InterceptionRule
  readonly #boundMs: number
  readonly #onTaken: () => void
  #left: number
  #stopped: WireMessage | undefined
  #choices: Choices | undefined
  #onReached: (() => void) | undefined

  constructor(rule: InterceptionRule, boundMs: number, onTaken: () => void) {
    this.#rule = rule
    this.#boundMs = boundMs
    this.#onTaken = onTaken
    this.#left = rule.nth ?? 1
  }

  get at(): 'request' | 'answer' {
    return this.#rule.at
  }

  takes(message: WireMessage): boolean {
    if (!this.#rule.matches(message)) return false
    this.#left--
    if (this.#left > 0) return false
    this.#onTaken()
    return true
  }

  /** Called by the connection when message or answer stands still. */
  arrived(message: WireMessage, choices: Choices): void {
    this.#stopped = message
    this.#choices = choices
    this.#onReached?.()
  }

  reached(): Promise<WireMessage> {
    return new Promise((resolve, reject) => {
      if (this.#stopped !== undefined) return resolve(this.#stopped)
      const text = `no such ${this.at} came to the proxy within ${this.#boundMs} ms`
      const timer = setTimeout(() => reject(new Error(text)), this.#boundMs)
      this.#onReached = () => {
        clearTimeout(timer)
        if (this.#stopped !== undefined) resolve(this.#stopped)
      }
    })
  }

  pass(): void {
    this.#decided().pass()
  }

  cut(): void {
    this.#decided().cut()
  }

  #decided(): Choices {
    if (this.#choices === undefined) throw new Error('nothing was intercepted yet: await reached() first')
    return this.#choices
  }
}
