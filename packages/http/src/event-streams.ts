import type { ServerResponse } from 'node:http'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Answer } from './answer.ts'
import { isAnswer } from './operation.ts'
import { problem } from './problem.ts'
import { refusalAnswer } from './refusal-answer.ts'

/**
 * Begins to follow something. What it sends is sent at once, also before it resolves: with what ends the following, or with why
 * there is none, and then it has sent nothing.
 */
export type Follow = (send: (text: string) => void) => Promise<(() => void) | Answer>

export interface EventStreams {
  /** Answers with a stream of server-sent events, or says why not. */
  run(response: ServerResponse, request: RunOptions): Promise<Answer | null>
  /**
   * Ends those that are open and begins no more: an open stream would hold up a server that drains until its deadline. Clients
   * come back to another replica, with the position that they have.
   */
  end(): void
}

export interface RunOptions {
  readonly accountId: string
  /** The head alone is asked for. */
  readonly isHead: boolean
  readonly follow: Follow
}

export interface EventStreamsOptions {
  readonly registry: Registry
  /** At once in this process. */
  readonly most?: number
  /** Of one account. */
  readonly mostOfAccount?: number
  readonly heartbeatMs?: number
  readonly longestMs?: number
  readonly mostBufferedBytes?: number
}

/** A quarter of the connections that a replica takes: whoever only watches must not keep those out who buy. */
const defaultMost = 500
/** A shop has a handful of servers that tell its pages. With five times as many, one account has a fifth of the places. */
const defaultMostOfAccount = 100
/** Balancers close what is silent for a minute, some after 30 s. */
const defaultHeartbeatMs = 15_000
/**
 * The key is looked at when a stream begins: one that was revoked since is refused when its client comes back, as clients do by
 * themselves. Coming back costs three commands of Redis.
 */
const defaultLongestMs = 5 * 60_000
/** Some thousand changes. Who is so far behind reads faster by coming back; all places together hold 125 MiB at most. */
const defaultMostBufferedBytes = 256 * 1024
/** How soon a client comes back by itself. */
const retryMs = 1_000
/** What is full now is not empty a second later; what is asked for too often even less. */
const fullRetryAfterSeconds = 5

export function createEventStreams(options: EventStreamsOptions): EventStreams {
  const { most = defaultMost, mostOfAccount = defaultMostOfAccount } = options
  const { heartbeatMs = defaultHeartbeatMs, longestMs = defaultLongestMs } = options
  const { mostBufferedBytes = defaultMostBufferedBytes } = options
  const metrics = createMetrics(options.registry)
  const open = new Map<ServerResponse, string>()
  let ended = false

  function refusal(accountId: string): Answer | null {
    if (ended || open.size >= most) return full
    const ofAccount = [...open.values()].filter((other) => other === accountId).length
    return ofAccount >= mostOfAccount ? tooMany : null
  }

  function takePlace(response: ServerResponse, accountId: string): void {
    open.set(response, accountId)
    metrics.open.set(open.size)
    response.once('close', () => {
      open.delete(response)
      metrics.open.set(open.size)
    })
  }

  return {
    async run(response, { accountId, isHead, follow }) {
      const refused = refusal(accountId)
      if (refused) return refused
      takePlace(response, accountId)

      const send = (text: string) => {
        if (response.closed || response.writableEnded) return
        begin(response)
        response.write(text)
        if (response.writableLength <= mostBufferedBytes) return
        metrics.cutOff.inc()
        response.destroy()
      }
      const stop = isHead ? nothingToStop : await follow(send)
      if (isAnswer(stop)) return stop
      if (response.closed) {
        stop()
        return null
      }
      begin(response)
      const heartbeat = setInterval(send, heartbeatMs, ': still here\n\n')
      const end = setTimeout(endOrCut, longestMs, response)
      response.once('close', () => {
        clearInterval(heartbeat)
        clearTimeout(end)
        stop()
      })
      if (isHead || ended) response.end()
      return null
    },
    end() {
      ended = true
      // Who has not read what was sent is not waited for: what has an end is idle for a server that drains.
      for (const response of open.keys()) if (response.headersSent) response.end()
    },
  }
}

/** One event, as the wire has it. `data` is one line, as JSON is. */
export function serverSentEvent({ id, event, data }: { id: string; event: string; data: object }): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

/** Who has not read what was sent would keep his place, however long ago it ended. */
function endOrCut(response: ServerResponse): void {
  if (response.writableLength > 0) response.destroy()
  else response.end()
}

function nothingToStop(): void {
  // Nothing was begun.
}

function begin(response: ServerResponse): void {
  if (response.headersSent) return
  // Some proxies gather an answer before they pass it on, unless they are told not to.
  const headers = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' }
  response.writeHead(200, headers)
  response.write(`retry: ${retryMs}\n\n`)
}

function createMetrics(registry: Registry) {
  return {
    open: new Gauge({
      name: 'event_streams_open',
      help: 'Clients that follow a stream of this process.',
      registers: [registry],
    }),
    cutOff: new Counter({
      name: 'event_streams_cut_off_total',
      help: 'Streams that were ended because their client did not read them as fast as they came.',
      registers: [registry],
    }),
  }
}

const full = refusalAnswer({ code: 'temporarily-unavailable', retryAfterSeconds: fullRetryAfterSeconds })

const tooMany = problem('too-many-requests', 'This account follows as many streams as a replica has for one.', {
  members: { retryAfterSeconds: fullRetryAfterSeconds },
  headers: { 'Retry-After': String(fullRetryAfterSeconds) },
})
