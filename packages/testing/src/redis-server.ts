import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endServer, hasEnded, type ServerProgram, startOnFreePort, startServer } from './server-process.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** The process that runs now. */
  readonly pid: number
  /** SIGKILL, and waits until it is gone. Its data is lost: it writes nothing to disk. */
  kill(): Promise<void>
  /** SIGSTOP: connections stay open, the kernel still takes bytes and new connections, nothing is answered. */
  pause(): void
  /** SIGCONT: what was sent meanwhile is worked off. */
  resume(): void
  /** Kills it if it runs, and starts an empty one on the same port. */
  restart(): Promise<void>
  /** Ends it for good, also when paused or killed before. */
  close(): Promise<void>
}

/** A real `redis-server` of one test's own, for tests that kill, pause, flush or restart it. It writes no file. */
export async function startRedisServer(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-redis-'))
  const program = (onPort: number) => redisOn(onPort, folder)
  let { port, child } = await startOnFreePort(program)

  return {
    get url() {
      return `redis://127.0.0.1:${port}`
    },
    get port() {
      return port
    },
    get pid() {
      return pidOf(child)
    },
    kill: () => endServer(child),
    pause: () => void process.kill(pidOf(child), 'SIGSTOP'),
    resume: () => void process.kill(pidOf(child), 'SIGCONT'),
    async restart() {
      await endServer(child)
      child = await startServer(program(port), port)
    },
    async close() {
      await endServer(child)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function redisOn(port: number, folder: string): ServerProgram {
  return {
    name: 'redis-server',
    command: process.env.REDIS_SERVER_BIN ?? 'redis-server',
    args: ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
    remedy: 'set REDIS_SERVER_BIN',
    answers: answersPing,
  }
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined || hasEnded(child)) throw new Error('this redis-server does not run')
  return child.pid
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const finish = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(500, () => finish(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => finish(data.toString().startsWith('+PONG')))
    socket.once('error', () => finish(false))
  })
}
