import { connect, type Socket } from 'node:net'
import { type Direction, Flow, type Verdict } from './flow.ts'
import type { PendingRule } from './interception.ts'
import { createFramer, type FramedMessage, type Protocol, type WireMessage } from './wire-messages.ts'

/** The proxy, as its connections see it. */
export interface ConnectionRules {
  readonly target: { readonly host: string; readonly port: number }
  readonly protocol: Protocol
  delayMs(direction: Direction): number
  isHeld(direction: Direction): boolean
  /** The bytes to forward in the place of the message. */
  replace(direction: Direction, message: FramedMessage): Buffer
  /** Called with each message when it is its turn. */
  onMessage(direction: Direction): void
  onRoundTrip(): void
  ruleFor(clientMessage: WireMessage): PendingRule | null
  /** Whether the connection is to end now, before or after the message that is being forwarded. */
  isEnd(direction: Direction, step: 'before' | 'after'): boolean
}

export class ProxiedConnection {
  readonly #rules: ConnectionRules
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #onEnd: (connection: ProxiedConnection) => void
  readonly #toServer: Flow
  readonly #toClient: Flow
  readonly #roundTrips: RoundTrips
  readonly #answers: Answers
  #hasEnded = false

  constructor(client: Socket, rules: ConnectionRules, onEnd: (connection: ProxiedConnection) => void) {
    this.#rules = rules
    this.#onEnd = onEnd
    this.#client = client
    this.#upstream = connect({ ...rules.target, allowHalfOpen: true })
    this.#roundTrips = new RoundTrips(rules.onRoundTrip)
    this.#answers = new Answers(rules.protocol)
    this.#toServer = new Flow(this.#client, this.#upstream, rules.isHeld('to-server'))
    this.#toClient = new Flow(this.#upstream, this.#client, rules.isHeld('to-client'))
    this.#relay('to-server', this.#client)
    this.#relay('to-client', this.#upstream)
    for (const socket of [this.#client, this.#upstream]) {
      socket.setNoDelay(true)
      socket.on('error', () => this.cut())
      socket.on('close', () => {
        if (this.#client.destroyed && this.#upstream.destroyed) this.cut()
      })
    }
    this.#client.resume()
  }

  setHeld(direction: Direction, isHeld: boolean): void {
    this.#flow(direction).setHeld(isHeld)
  }

  cut(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#stop()
    reset(this.#client)
    reset(this.#upstream)
    this.#onEnd(this)
  }

  #flow(direction: Direction): Flow {
    return direction === 'to-server' ? this.#toServer : this.#toClient
  }

  #relay(direction: Direction, source: Socket): void {
    const frame = createFramer(this.#rules.protocol, direction)
    const flow = this.#flow(direction)
    source.on('data', (chunk) => {
      try {
        for (const message of frame(chunk)) {
          flow.push({
            bytes: this.#rules.replace(direction, message),
            delayMs: this.#rules.delayMs(direction),
            examine: () => this.#examine(direction, message),
            forwarded: () => this.#endIf(direction, 'after'),
          })
          if (direction === 'to-client') this.#answers.arrived(message)
        }
      } catch (error) {
        // A message that cannot be read is the test's mistake. It must not be met by silence.
        console.error(error)
        this.cut()
      }
    })
    source.on('end', () => flow.end())
  }

  #examine(direction: Direction, message: FramedMessage): Verdict {
    if (this.#endIf(direction, 'before')) return 'stop'
    this.#rules.onMessage(direction)
    this.#roundTrips.count(direction, message)
    if (direction === 'to-server') this.#answers.asked(message)
    return direction === 'to-server' ? this.#intercept(message) : 'forward'
  }

  #intercept(message: FramedMessage): Verdict {
    const rule = this.#rules.ruleFor(message)
    if (rule === null) return 'forward'
    const cut = () => this.cut()
    if (rule.at === 'request') {
      this.#toServer.block()
      rule.arrived(message, { pass: () => this.#toServer.unblock(), cut })
      return 'stop'
    }
    this.#toClient.block()
    this.#answers.onAnswerTo(message, () => rule.arrived(message, { pass: () => this.#toClient.unblock(), cut }))
    return 'forward'
  }

  /** Both sides read the end of the connection after what was forwarded to them. */
  #endIf(direction: Direction, step: 'before' | 'after'): boolean {
    if (!this.#rules.isEnd(direction, step)) return false
    this.#stop()
    this.#client.end()
    this.#upstream.end()
    return true
  }

  #stop(): void {
    this.#toServer.stop()
    this.#toClient.stop()
  }
}

/** Knows when the server has answered a message. Of other servers than PostgreSQL, the next chunk is the answer. */
class Answers {
  readonly #isPostgres: boolean
  /** The `ready` messages that PostgreSQL owes. Its start ends with the first. */
  #owed = 1
  #awaited = 0
  #onAnswer: (() => void) | undefined

  constructor(protocol: Protocol) {
    this.#isPostgres = protocol === 'postgres'
  }

  asked({ kind }: WireMessage): void {
    if (kind === 'query' || kind === 'sync') this.#owed++
  }

  /** An extended statement is answered with its `sync`, which has not been asked yet. */
  onAnswerTo({ kind }: WireMessage, onAnswer: () => void): void {
    const isOwed = kind === 'query' || kind === 'sync'
    this.#awaited = this.#isPostgres ? this.#owed + (isOwed ? 0 : 1) : 1
    this.#onAnswer = onAnswer
  }

  arrived({ kind }: WireMessage): void {
    if (this.#isPostgres && kind !== 'ready') return
    this.#owed--
    this.#awaited--
    if (this.#awaited > 0) return
    this.#onAnswer?.()
    this.#onAnswer = undefined
  }
}

/** Counts the round trips of one connection to PostgreSQL. Its start ends with the first `ready`. */
class RoundTrips {
  readonly #onRoundTrip: () => void
  #unanswered = 1
  #isAnswered = false

  constructor(onRoundTrip: () => void) {
    this.#onRoundTrip = onRoundTrip
  }

  count(direction: Direction, { kind }: WireMessage): void {
    if (direction === 'to-client') {
      if (kind === 'ready') this.#unanswered--
      if (kind === 'ready') this.#isAnswered = this.#unanswered === 0
      return
    }
    if (this.#isAnswered && kind !== 'terminate') this.#onRoundTrip()
    this.#isAnswered = false
    if (kind === 'query' || kind === 'sync') this.#unanswered++
  }
}

/**
 * A reset where that is possible. Node delays it until all bytes are sent, which a stopped server never takes, and it
 * fails on a socket that was half closed. Both are closed plainly.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded || socket.writableLength > 0) socket.destroy()
  else socket.resetAndDestroy()
}
