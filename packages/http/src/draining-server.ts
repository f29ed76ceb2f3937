import {
  createServer,
  IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Express } from 'express'
import { answerUnreadable } from './answer-unreadable.ts'
import { withHealth } from './health.ts'
import { problem } from './problem.ts'

export interface DrainingServerOptions {
  readonly app: RequestListener
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly isReady: () => Promise<boolean>
}

export interface DrainingServer {
  readonly port: number
  /**
   * Says that it is not ready, answers what has been sent to it, then takes no more connections. It listens for
   * `lameDuckMs`, 250 ms by default. Resolves when the last connection is gone, which is after `deadlineMs` at the
   * latest, with the number of requests that were cut off then. Called again, the earlier deadline counts.
   */
  drain(deadlineMs: number, lameDuckMs?: number): Promise<{ readonly cutOff: number }>
}

/** Longer than the 60 s that load balancers keep an idle connection: the balancer closes it, never we under its request. */
const keepAliveMs = 65_000
/** Headers are a few hundred bytes. Who needs longer for them only holds a connection. */
const headersMs = 5_000
/** The whole request, with its 16 KiB. It does not limit the answer, which the operations bound themselves. */
const requestMs = 10_000
/** How often both are looked at, thus how late they may act. */
const checkMs = 1_000
const maxHeaderBytes = 8 * 1024
const maxHeaders = 64
/** With its buffers a connection costs some 10 KiB, and what is in flight some more: well under 100 MB for all. */
const maxConnections = 2_000

/** Listens, with every bound set. Rejects with the error of `listen`, such as EADDRINUSE. */
export async function startDrainingServer(options: DrainingServerOptions): Promise<DrainingServer> {
  let draining = false
  const inFlight = new Set<ServerResponse>()
  const sockets = new Set<Socket>()

  const app = refusingManyHeaders(withHealth({ isReady: options.isReady, isDraining: () => draining }, options.app))
  const server = createBoundedServer(options.app, (request, response) => {
    inFlight.add(response)
    response.once('close', () => {
      inFlight.delete(response)
      if (draining) server.closeIdleConnections()
    })
    if (draining) response.setHeader('Connection', 'close')
    app(request, response)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await listening(server, options)

  let drained: Promise<void> | undefined
  let cutOff = 0

  async function drainInTurn(lameDuckMs: number): Promise<void> {
    draining = true
    for (const response of inFlight) if (!response.headersSent) response.setHeader('Connection', 'close')
    await arrivalsCease(server, lameDuckMs)
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    await arrivalsCease(server, defaultLameDuckMs)
    // Node counts a connection that never said anything as busy; this one has had its time to speak.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    await closed
  }

  function cutOffAll(): void {
    cutOff += inFlight.size
    server.close()
    for (const socket of sockets) socket.destroy()
  }

  return {
    port: portOf(server),
    async drain(deadlineMs, lameDuckMs = defaultLameDuckMs) {
      drained ??= drainInTurn(lameDuckMs)
      const deadline = setTimeout(cutOffAll, deadlineMs)
      await drained.finally(() => clearTimeout(deadline))
      return { cutOff }
    },
  }
}

/**
 * How long a server that is going to stop still listens: what clients have sent already arrives. Closing at once would
 * reset every connection that the kernel has and this process has not seen yet.
 */
const defaultLameDuckMs = 250
/** Turns of the event loop in a row, each with a look at all sockets, in which nothing new came. */
const quietTurns = 3
/** More than the first time. Under a load that never pauses, arrivals do not cease. Then clients must try again. */
const mostLameDuckMs = 1_750

/** Resolves when nobody has come for a while: first some time, then whole turns, as a loop that lags runs timers first. */
async function arrivalsCease(server: Server, lameDuckMs: number): Promise<void> {
  let arrivals = 0
  const arrive = () => arrivals++
  server.on('connection', arrive).on('request', arrive)
  const latestMs = performance.now() + lameDuckMs + mostLameDuckMs
  await pause(lameDuckMs)
  for (let quiet = 0; quiet < quietTurns && performance.now() < latestMs; ) {
    const before = arrivals
    await nextTurn()
    quiet = arrivals === before ? quiet + 1 : 0
  }
  server.off('connection', arrive).off('request', arrive)
}

function createBoundedServer(app: RequestListener, listener: RequestListener): Server {
  const server = createServer(
    {
      ...messagesOf(app),
      keepAliveTimeout: keepAliveMs,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: checkMs,
      maxHeaderSize: maxHeaderBytes,
    },
    listener,
  )
  // No limit of Node's own: it would drop the headers behind it, and the balancer adds the client's address last.
  server.maxHeadersCount = 0
  server.maxConnections = maxConnections
  server.on('clientError', answerUnreadable)
  return server
}

function refusingManyHeaders(app: RequestListener): RequestListener {
  return (request, response) => {
    if (request.rawHeaders.length <= 2 * maxHeaders) return app(request, response)
    const { status, contentType, body } = problem('headers-too-large', `A request may have ${maxHeaders} headers.`)
    response.writeHead(status, { 'Content-Type': contentType, Connection: 'close' }).end(body)
  }
}

/**
 * The classes of requests and responses, with the prototypes that an Express app gives them.
 *
 * Express sets the prototype of each message. If it differs, the engine drops what it knows about the object, which
 * costs 0.09 ms of CPU per request. These messages have it from the start.
 */
function messagesOf(app: RequestListener): ServerOptions {
  if (!isExpress(app)) return {}
  class AppRequest extends IncomingMessage {}
  class AppResponse<Request extends IncomingMessage> extends ServerResponse<Request> {}
  app.request = Object.setPrototypeOf(AppRequest.prototype, app.request)
  app.response = Object.setPrototypeOf(AppResponse.prototype, app.response)
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse }
}

function isExpress(app: RequestListener): app is Express {
  return 'request' in app && 'response' in app
}

function listening(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port.')
  return address.port
}
