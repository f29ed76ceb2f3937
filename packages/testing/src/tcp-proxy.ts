import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createFramer, type FramedMessage, type Protocol, type WireMessage } from './wire-messages.ts'

export type Direction = 'to-server' | 'to-client'

export interface TcpProxy {
  readonly port: number
  /** The same URL, with the proxy in the server's place. */
  through(url: string): string
  /** Connections that are open now. */
  readonly connections: number
  /** Whole messages that clients have sent so far, on all connections. */
  readonly clientMessages: number
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
  /** Cuts everything and stops listening. */
  close(): Promise<void>
}

export interface InterceptionRule {
  readonly matches: (message: WireMessage) => boolean
  /** Which of the matching messages, counted over all connections from now on; 1 by default. */
  readonly nth?: number
  /**
   * `request`: the server has not seen the message yet. `answer`: the server has seen it, and its answer has arrived at the
   * proxy. The answer's end of the connection is held from the request on, so ask one thing at a time on it.
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

/** What is held in one direction of one connection; beyond it the sender is told to stop, as by a full network. */
const maxHeldBytes = 4 * 1024 * 1024
const defaultBoundMs = 4_000

export interface TcpProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly protocol: Protocol
  /** How long `reached` waits. */
  readonly boundMs?: number
}

/**
 * A proxy between one client and one server that a test has in its hand: it forces interleavings that a sleep would only
 * make likely. It needs no hook in the code under test.
 */
export async function startTcpProxy({
  target,
  protocol,
  boundMs = defaultBoundMs,
}: TcpProxyOptions): Promise<TcpProxy> {
  const connections = new Set<Connection>()
  const rules = new Set<PendingRule>()
  const held = { 'to-server': false, 'to-client': false }
  const delays = { 'to-server': 0, 'to-client': 0 }
  let isRefusing = false
  let clientMessages = 0

  // Half open: what one side said before it left still arrives, also when it was held meanwhile.
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
    if (isRefusing) return reset(client)
    const connection = connectThrough(client, {
      target,
      protocol,
      heldAtFirst: held,
      delayMs: (direction) => delays[direction],
      onClientMessage: (message) => {
        clientMessages++
        for (const rule of rules) if (rule.takes(message)) return rule
        return null
      },
    })
    connections.add(connection)
    connection.onEnd(() => connections.delete(connection))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy is not bound to a port')
  const { port } = address

  const cut = () => {
    for (const connection of connections) connection.cut()
  }
  const setHeld = (direction: Direction, isHeld: boolean) => {
    held[direction] = isHeld
    for (const connection of connections) connection.setHeld(direction, isHeld)
  }

  return {
    port,
    through: (url) => throughPort(url, port),
    get connections() {
      return connections.size
    },
    get clientMessages() {
      return clientMessages
    },
    hold: (direction) => setHeld(direction, true),
    flow: (direction) => setHeld(direction, false),
    delay(direction, delayMs) {
      delays[direction] = delayMs
    },
    cut,
    refuse() {
      isRefusing = true
      cut()
    },
    accept() {
      isRefusing = false
    },
    intercept(rule) {
      const pending = createRule(rule, boundMs, () => rules.delete(pending))
      rules.add(pending)
      return pending.interception
    },
    async close() {
      isRefusing = true
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A rule that has not fired yet; it fires once. */
interface PendingRule {
  readonly at: 'request' | 'answer'
  readonly interception: Interception
  takes(message: WireMessage): boolean
  /** Called by the connection when message or answer stands still. */
  arrived(message: WireMessage, decide: { pass(): void; cut(): void }): void
}

function createRule(rule: InterceptionRule, boundMs: number, onTaken: () => void): PendingRule {
  let left = rule.nth ?? 1
  let decide: { pass(): void; cut(): void } | undefined
  let stopped: WireMessage | undefined
  let tell: (() => void) | undefined

  const decided = () => {
    if (decide === undefined) throw new Error('nothing was intercepted yet: await reached() first')
    return decide
  }
  return {
    at: rule.at,
    takes(message) {
      if (!rule.matches(message)) return false
      left--
      if (left > 0) return false
      onTaken()
      return true
    },
    arrived(message, choices) {
      stopped = message
      decide = choices
      tell?.()
    },
    interception: {
      reached: () =>
        new Promise((resolve, reject) => {
          if (stopped !== undefined) return resolve(stopped)
          const timer = setTimeout(
            () => reject(new Error(`no such ${rule.at} came to the proxy within ${boundMs} ms`)),
            boundMs,
          )
          tell = () => {
            clearTimeout(timer)
            if (stopped !== undefined) resolve(stopped)
          }
        }),
      pass: () => decided().pass(),
      cut: () => decided().cut(),
    },
  }
}

interface Connection {
  setHeld(direction: Direction, isHeld: boolean): void
  cut(): void
  onEnd(listener: () => void): void
}

interface ConnectionOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly protocol: Protocol
  readonly heldAtFirst: Readonly<Record<Direction, boolean>>
  readonly delayMs: (direction: Direction) => number
  readonly onClientMessage: (message: WireMessage) => PendingRule | null
}

function connectThrough(client: Socket, options: ConnectionOptions): Connection {
  const upstream = connect({ ...options.target, allowHalfOpen: true })
  for (const socket of [client, upstream]) socket.setNoDelay(true)
  const frame = createFramer(options.protocol)
  let onEnd = () => {}
  let hasEnded = false

  const cut = () => {
    if (hasEnded) return
    hasEnded = true
    toServer.stop()
    toClient.stop()
    reset(client)
    reset(upstream)
    onEnd()
  }
  const toServer = createFlow(client, upstream, {
    isHeld: options.heldAtFirst['to-server'],
    delayMs: () => options.delayMs('to-server'),
  })
  const toClient = createFlow(upstream, client, {
    isHeld: options.heldAtFirst['to-client'],
    delayMs: () => options.delayMs('to-client'),
  })

  client.on('data', (chunk) => {
    try {
      for (const message of frame(chunk)) toServer.push(message.bytes, () => examine(message))
    } catch (error) {
      // A message that cannot be read is the test's mistake. It must not be met by silence.
      console.error(error)
      cut()
    }
  })
  upstream.on('data', (chunk) => toClient.push(chunk))
  client.on('end', () => toServer.end())
  upstream.on('end', () => toClient.end())
  for (const socket of [client, upstream]) socket.on('error', cut)
  const endIfBothClosed = () => {
    if (client.destroyed && upstream.destroyed) cut()
  }
  for (const socket of [client, upstream]) socket.on('close', endIfBothClosed)
  client.resume()

  /** Called when it is the message's turn to be forwarded; says whether it may be. */
  function examine(message: FramedMessage): 'forward' | 'stop' {
    const rule = options.onClientMessage(message)
    if (rule === null) return 'forward'
    if (rule.at === 'request') {
      toServer.block()
      rule.arrived(message, { pass: () => toServer.unblock(), cut })
      return 'stop'
    }
    toClient.block(() => rule.arrived(message, { pass: () => toClient.unblock(), cut }))
    return 'forward'
  }

  return {
    cut,
    setHeld: (direction, isHeld) => (direction === 'to-server' ? toServer : toClient).setHeld(isHeld),
    onEnd(listener) {
      onEnd = listener
    },
  }
}

interface Flow {
  push(bytes: Buffer, examine?: () => 'forward' | 'stop'): void
  end(): void
  setHeld(isHeld: boolean): void
  /** Nothing passes until `unblock`; `onArrival` is called as soon as something waits. */
  block(onArrival?: () => void): void
  unblock(): void
  stop(): void
}

interface Parcel {
  readonly bytes: Buffer
  readonly dueAtMs: number
  /** Asked once, when it is this parcel's turn. */
  examine: (() => 'forward' | 'stop') | undefined
}

/** One direction of one connection: a queue that is emptied in order, as far as nothing holds it. */
function createFlow(
  source: Socket,
  destination: Socket,
  { isHeld, delayMs }: { isHeld: boolean; delayMs: () => number },
): Flow {
  const queue: Parcel[] = []
  let heldBytes = 0
  let isBlocked = false
  let isEnding = false
  let isStopped = false
  let onArrival: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined

  function drain(): void {
    clearTimeout(timer)
    while (!isStopped && !isHeld && !isBlocked) {
      const parcel = queue[0]
      if (parcel === undefined) {
        if (isEnding) destination.end()
        return
      }
      const earlyMs = parcel.dueAtMs - performance.now()
      if (earlyMs > 0) {
        timer = setTimeout(drain, Math.ceil(earlyMs))
        return
      }
      const examine = parcel.examine
      parcel.examine = undefined
      if (examine?.() === 'stop') return
      queue.shift()
      heldBytes -= parcel.bytes.length
      if (heldBytes < maxHeldBytes) source.resume()
      destination.write(parcel.bytes)
    }
  }

  return {
    push(bytes, examine) {
      queue.push({ bytes, dueAtMs: performance.now() + delayMs(), examine })
      heldBytes += bytes.length
      if (heldBytes >= maxHeldBytes) source.pause()
      onArrival?.()
      onArrival = undefined
      drain()
    },
    end() {
      isEnding = true
      drain()
    },
    setHeld(held) {
      isHeld = held
      drain()
    },
    block(listener) {
      isBlocked = true
      onArrival = listener
    },
    unblock() {
      isBlocked = false
      drain()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/**
 * A reset where that is possible. Node waits with it for unsent bytes, which a stopped server never takes; and on a socket that
 * was half closed it fails and leaves the socket open. Both are closed plainly.
 */
function reset(socket: Socket): void {
  if (socket.writableEnded || socket.writableLength > 0) socket.destroy()
  else socket.resetAndDestroy()
}

function throughPort(url: string, port: number): string {
  const changed = new URL(url)
  changed.hostname = '127.0.0.1'
  changed.port = `${port}`
  return changed.href
}
