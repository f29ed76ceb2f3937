import { constants } from 'node:os'
import { type DrainingServer, type DrainingServerOptions, startDrainingServer } from './draining-server.ts'
import type { Logger } from './logger.ts'

export interface ListenOptions extends DrainingServerOptions {
  readonly logger: Logger
  /** EXIT_WITH_PARENT: drain when stdin closes, which it does when the process that holds its other end is gone. */
  readonly exitWithParent: boolean
  /** A balancer asks `/readyz`, and sends requests until it has read there that this process is about to end. */
  readonly isBehindBalancer?: boolean
  /** Ends what this process does beside answering requests, in the same time in which these are answered. */
  readonly stopWork?: () => Promise<void>
  /** Closes pools and clients, after the last request was answered. */
  readonly onDrained?: () => Promise<void>
}

/**
 * Long enough for every request that has no trouble; together with `onDrainedMs` within the 10 s that containers get to
 * stop. A payment whose request is cut off stays `processing`, as after a crash, and recovery finishes it.
 */
const drainMs = 8_000
/** With the parent gone nobody waits for the answers any more, and the next start wants the ports. */
const orphanedDrainMs = 1_000
/** Closing a pool waits for its queries, which are all done; where a server hangs, we leave without its goodbye. */
const onDrainedMs = 1_500

/**
 * Longer than the balancer needs to notice: in deploy/haproxy.cfg three failed checks, the first after a second at most
 * and the others at 250 ms.
 */
export const balancerLameDuckMs = 1_750

const endingSignals = ['SIGTERM', 'SIGINT'] as const

/**
 * Runs an HTTP process from its first to its last moment.
 *
 * - It listens with the bounds of `draining-server.ts`, and answers `/healthz` and `/readyz` itself. A port that is taken
 *   is one line in the log and exit code 1.
 * - SIGTERM or SIGINT: readiness 503, no new connections, idle ones closed, requests in flight answered and `stopWork`
 *   waited for (8 s at most), `onDrained`, exit code 0. The same signal again: exit at once. (A different one is not impatience: Ctrl-C in a
 *   terminal sends SIGINT to the whole tree, whose parent then sends SIGTERM.)
 * - `exitWithParent`: the end of stdin begins the same drain, with 1 s.
 * - What nobody caught: logged, exit code 1. A process in an unknown state must not go on charging cards.
 *
 * Resolves once it listens, with the port.
 */
export async function listen(options: ListenOptions): Promise<{ readonly port: number }> {
  const { logger, host } = options
  exitOnUncaught(logger)
  const server = await startDrainingServer(options).catch((error: unknown) => exitUnableToListen(error, options))
  drainOnSignals(server, options)
  logger.info({ host, port: server.port }, 'listening')
  return { port: server.port }
}

function drainOnSignals(server: DrainingServer, options: ListenOptions): void {
  const { logger } = options
  const received = new Set<string>()
  let ending = false

  async function end(reason: string, deadlineMs: number, lameDuckMs?: number): Promise<void> {
    const drained = server.drain(deadlineMs, lameDuckMs)
    if (ending) return
    ending = true
    logger.info({ reason }, 'draining')
    const [{ cutOff }] = await Promise.all([drained, inTime(options.stopWork, deadlineMs, logger)])
    if (cutOff > 0) logger.warn({ cutOff }, 'requests were cut off')
    await inTime(options.onDrained, onDrainedMs, logger)
    logger.info('drained')
    process.exit(0)
  }

  for (const signal of endingSignals) {
    process.on(signal, () => {
      if (received.has(signal)) process.exit(128 + constants.signals[signal])
      received.add(signal)
      void end(signal, drainMs, options.isBehindBalancer ? balancerLameDuckMs : undefined)
    })
  }
  if (options.exitWithParent) {
    process.stdin.once('close', () => void end('parent is gone', orphanedDrainMs))
    process.stdin.on('error', () => process.stdin.destroy())
    // Nothing is read from it; but only a stream that flows notices its end.
    process.stdin.resume()
  }
}

async function inTime(end: (() => Promise<void>) | undefined, boundMs: number, logger: Logger): Promise<void> {
  if (!end) return
  const tooLate = new Promise<void>((resolve) => setTimeout(resolve, boundMs))
  try {
    await Promise.race([end(), tooLate])
  } catch (error) {
    logger.warn({ err: error }, 'closing failed')
  }
}

function exitOnUncaught(logger: Logger): void {
  const exit = (error: unknown, origin: string) => {
    logger.fatal({ err: error, origin }, 'uncaught: exiting')
    process.exit(1)
  }
  process.on('uncaughtException', exit)
  process.on('unhandledRejection', (reason) => exit(reason, 'unhandledRejection'))
}

function exitUnableToListen(error: unknown, { host, port, logger }: ListenOptions): never {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : error
  const why = code === 'EADDRINUSE' ? 'the port is in use: stop the other process or set PORT' : String(code)
  logger.fatal(`cannot listen on ${host}:${port}: ${why}`)
  process.exit(1)
}
