import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { patienceMs } from './eventually.ts'
import type { Direction } from './flow.ts'
import { type Interception, type InterceptionRule, PendingRule } from './interception.ts'
import { type ConnectionRules, ProxiedConnection, reset } from './proxied-connection.ts'
import type { FramedMessage, Protocol, WireMessage } from './wire-messages.ts'

export interface TcpProxy {
  readonly port: number
  /** The same URL, with the proxy in the server's place. */
  through(url: string): string
  /** Connections that are open now. */
  readonly connections: number
  /** Whole messages that clients have sent so far, on all connections. */
  readonly clientMessages: number
  /** Whole messages that a PostgreSQL has sent so far, on all connections; of other servers, chunks. */
  readonly serverMessages: number
  /**
   * Round trips to PostgreSQL so far, on all connections after their start: how often a client sent something after the
   * answers to all that it had sent before had passed.
   */
  readonly roundTrips: number
  /** Keeps what comes from now on; nothing is lost. Holds for connections that are made later too. */
  hold(direction: Direction): void
  /** Lets what was held through, in order. */
  flow(direction: Direction): void
  /** Adds to everything that comes from now on; 0 takes it off. Order is kept. */
  delay(direction: Direction, delayMs: number): void
  /** Resets every open connection (what is held is lost). New ones are still taken. */
  cut(): void
  /** Resets every open connection and each new one, until `accept`. */
  refuse(): void
  accept(): void
  /** Stops one client message, or the answer to it, until the test has decided. */
  intercept(rule: InterceptionRule): Interception
  /**
   * Ends the connection that carries the next message after `count` more messages of this direction.
   *
   * What was forwarded before arrives, in both directions. The server acts on it, and its answers are lost. Returns a
   * function that cancels this, for the case that fewer messages came, and returns whether the connection was ended.
   */
  endAfter(direction: Direction, count: number): () => boolean
  /** Forwards other bytes in the place of messages for which `replacement` returns some, until it is set to null. */
  rewrite(direction: Direction, replacement: Replacement | null): void
  /** Cuts everything and stops listening. */
  close(): Promise<void>
}

export type Replacement = (message: FramedMessage) => Buffer | null

export interface TcpProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly protocol: Protocol
  /** How long `reached` waits. */
  readonly boundMs?: number
}

/**
 * A proxy between one client and one server that a test controls: it forces interleavings that a sleep would only make
 * likely. It needs no hook in the code under test.
 */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  // Half open: what one side sent before it left still arrives, also when it was held meanwhile.
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  const proxy = new RunningProxy(options, server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return proxy
}

class RunningProxy implements TcpProxy, ConnectionRules {
  readonly target: ConnectionRules['target']
  readonly protocol: Protocol
  readonly #server: Server
  readonly #boundMs: number
  readonly #connections = new Set<ProxiedConnection>()
  readonly #rules = new Set<PendingRule>()
  readonly #held = { 'to-server': false, 'to-client': false }
  readonly #delaysMs = { 'to-server': 0, 'to-client': 0 }
  readonly #messages = { 'to-server': 0, 'to-client': 0 }
  readonly #replacements: Record<Direction, Replacement | null> = { 'to-server': null, 'to-client': null }
  #ending: { readonly direction: Direction; left: number } | null = null
  #roundTrips = 0
  #isRefusing = false

  constructor({ target, protocol, boundMs = patienceMs }: TcpProxyOptions, server: Server) {
    this.target = target
    this.protocol = protocol
    this.#boundMs = boundMs
    this.#server = server.on('connection', (client) => this.#connect(client))
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy is not bound to a port')
    return address.port
  }

  get connections(): number {
    return this.#connections.size
  }

  get clientMessages(): number {
    return this.#messages['to-server']
  }

  get serverMessages(): number {
    return this.#messages['to-client']
  }

  get roundTrips(): number {
    return this.#roundTrips
  }

  through(url: string): string {
    return throughPort(url, this.port)
  }

  hold(direction: Direction): void {
    this.#setHeld(direction, true)
  }

  flow(direction: Direction): void {
    this.#setHeld(direction, false)
  }

  delay(direction: Direction, delayMs: number): void {
    this.#delaysMs[direction] = delayMs
  }

  cut(): void {
    for (const connection of this.#connections) connection.cut()
  }

  refuse(): void {
    this.#isRefusing = true
    this.cut()
  }

  accept(): void {
    this.#isRefusing = false
  }

  intercept(rule: InterceptionRule): Interception {
    const pending = new PendingRule(rule, this.#boundMs, () => this.#rules.delete(pending))
    this.#rules.add(pending)
    return pending
  }

  endAfter(direction: Direction, count: number): () => boolean {
    this.#ending = { direction, left: count }
    return () => {
      const isEnded = this.#ending === null
      this.#ending = null
      return isEnded
    }
  }

  rewrite(direction: Direction, replacement: Replacement | null): void {
    this.#replacements[direction] = replacement
  }

  async close(): Promise<void> {
    this.refuse()
    this.#server.close()
    await once(this.#server, 'close')
  }

  delayMs(direction: Direction): number {
    return this.#delaysMs[direction]
  }

  isHeld(direction: Direction): boolean {
    return this.#held[direction]
  }

  replace(direction: Direction, message: FramedMessage): Buffer {
    return this.#replacements[direction]?.(message) ?? message.bytes
  }

  onMessage(direction: Direction): void {
    this.#messages[direction]++
  }

  onRoundTrip = (): void => {
    this.#roundTrips++
  }

  ruleFor(message: WireMessage): PendingRule | null {
    for (const rule of this.#rules) if (rule.takes(message)) return rule
    return null
  }

  isEnd(direction: Direction, step: 'before' | 'after'): boolean {
    if (this.#ending?.direction !== direction) return false
    if (step === 'after') this.#ending.left--
    if (this.#ending.left > 0) return false
    this.#ending = null
    return true
  }

  #connect(client: Socket): void {
    if (this.#isRefusing) reset(client)
    else this.#connections.add(new ProxiedConnection(client, this, (ended) => this.#connections.delete(ended)))
  }

  #setHeld(direction: Direction, isHeld: boolean): void {
    this.#held[direction] = isHeld
    for (const connection of this.#connections) connection.setHeld(direction, isHeld)
  }
}

function throughPort(url: string, port: number): string {
  const changed = new URL(url)
  changed.hostname = '127.0.0.1'
  changed.port = `${port}`
  return changed.href
}
