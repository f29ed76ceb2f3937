import { backoffMs } from '@seatbelt/locks'

/** The account at the gateway that our API key opens. */
export interface GatewayAccount {
  /** With the mode of the key: `acct_1:live`. Null: the gateway has not told it yet. */
  readonly id: string | null
  /** Asks the gateway, unless it has told it before. */
  learn(): Promise<string | null>
}

export interface GatewayAccountOptions {
  /** Null: the gateway did not tell it. */
  readonly ask: () => Promise<string | null>
  readonly onKnown: (id: string) => void
  /** Called once, when the first request brought nothing. */
  readonly onUnknown: () => void
}

/** The first pause is shorter than any outage; the longest delays what only an operator needs. */
const pauses = { baseMs: 1_000, maxMs: 60_000, random: Math.random }

/**
 * Learns the account at start and keeps it, because a key opens the same account for ever. No payment asks for it.
 *
 * While it is not known, payments go on and store none. An operator then cannot close a payment whose intent the
 * gateway does not have, because a 404 proves nothing without the account.
 */
export class LearnedAccount implements GatewayAccount {
  id: string | null = null
  readonly #options: GatewayAccountOptions
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #failures = 0

  constructor(options: GatewayAccountOptions) {
    this.#options = options
  }

  async learn(): Promise<string | null> {
    if (this.id === null) {
      this.id = await this.#options.ask()
      if (this.id !== null) this.#options.onKnown(this.id)
    }
    return this.id
  }

  /** Asks until the gateway has told it. */
  async start(): Promise<void> {
    if (this.#isClosed || (await this.learn()) !== null || this.#isClosed) return
    if (this.#failures === 0) this.#options.onUnknown()
    this.#timer = setTimeout(() => void this.start(), backoffMs(this.#failures++, pauses)).unref()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}

/** Of a key whose account was learned elsewhere. */
export function knownAccount(id: string | null): GatewayAccount {
  return { id, learn: async () => id }
}
