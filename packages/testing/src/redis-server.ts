import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

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

/** A cold start takes 50 ms; with eight test files at once on two cores it has been seen to take a second. */
const startBoundMs = 5_000
/** Another process can bind the port between finding it free and using it. */
const startTries = 5

/** A real `redis-server` of one test's own, for tests that kill, pause, flush or restart it. It writes no file. */
export async function startRedisServer(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-redis-'))
  let { port, child } = await startOnFreePort(folder)

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
    kill: () => end(child),
    pause: () => void process.kill(pidOf(child), 'SIGSTOP'),
    resume: () => void process.kill(pidOf(child), 'SIGCONT'),
    async restart() {
      await end(child)
      child = await startOn(port, folder)
    },
    async close() {
      await end(child)
      await rm(folder, { recursive: true, force: true })
    },
  }

  async function startOnFreePort(inFolder: string): Promise<{ port: number; child: ChildProcess }> {
    for (let tries = 1; ; tries++) {
      const candidate = await freePort()
      try {
        return { port: candidate, child: await startOn(candidate, inFolder) }
      } catch (error) {
        if (tries === startTries) throw error
      }
    }
  }
}

async function startOn(port: number, folder: string): Promise<ChildProcess> {
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
  const [command, args] = diesWithUs(process.env.REDIS_SERVER_BIN ?? 'redis-server', options)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => log.push(String(chunk)))
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = error
  })

  const deadline = performance.now() + startBoundMs
  while (!(await answersPing(port))) {
    if (failure !== undefined) {
      throw new Error(`no redis-server could be started (${command}); set REDIS_SERVER_BIN`, { cause: failure })
    }
    if (hasEnded(child) || performance.now() >= deadline) {
      await end(child)
      throw new Error(`redis-server did not start on port ${port}:\n${log.join('')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  if (hasEnded(child)) throw new Error(`another server answers on port ${port}:\n${log.join('')}`)
  return child
}

/** The kernel ends the server if this process is ended with SIGKILL. Elsewhere than on Linux there is no such thing. */
function diesWithUs(command: string, args: string[]): [string, string[]] {
  const setpriv = '/usr/bin/setpriv'
  if (process.platform !== 'linux' || !existsSync(setpriv)) return [command, args]
  return [setpriv, ['--pdeathsig', 'KILL', command, ...args]]
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
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
