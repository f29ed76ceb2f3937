import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { patienceMs } from './eventually.ts'
import { freePort } from './free-port.ts'

export interface ServerProgram {
  /** For messages. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment?: NodeJS.ProcessEnv
  /** What to do where the command cannot be started. */
  readonly remedy: string
  /** Does a server answer at this port? */
  readonly answers: (port: number) => Promise<boolean>
}

/** Another process can bind the port between finding it free and using it. */
const startTries = 5

/** Starts a server of a test's own on a port that was free a moment ago. */
export async function startOnFreePort(
  program: (port: number) => ServerProgram,
): Promise<{ readonly port: number; readonly child: ChildProcess }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    try {
      return { port, child: await startServer(program(port), port) }
    } catch (error) {
      if (tries === startTries) throw error
    }
  }
}

/** Resolves when the server answers. Nothing is left running when it rejects. */
export async function startServer(program: ServerProgram, port: number): Promise<ChildProcess> {
  const { name, answers, remedy, environment = process.env } = program
  const [command, ...args] = diesWithUs(program.command, program.args)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment })
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => log.push(String(chunk)))
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = error
  })

  const deadline = performance.now() + patienceMs
  while (!(await answers(port))) {
    if (failure !== undefined)
      throw new Error(`no ${name} could be started (${command}); ${remedy}`, { cause: failure })
    if (hasEnded(child) || performance.now() >= deadline) {
      await endServer(child)
      throw new Error(`${name} did not start on port ${port}:\n${log.join('')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  if (hasEnded(child)) throw new Error(`another server answers on port ${port}:\n${log.join('')}`)
  return child
}

/** SIGKILL, and waits until it is gone. It may have ended before. */
export async function endServer(child: ChildProcess): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** The kernel ends the server if this process is ended with SIGKILL. Elsewhere than on Linux there is no such thing. */
function diesWithUs(command: string, args: readonly string[]): [string, ...string[]] {
  const setpriv = '/usr/bin/setpriv'
  if (process.platform !== 'linux' || !existsSync(setpriv)) return [command, ...args]
  return [setpriv, '--pdeathsig', 'KILL', command, ...args]
}

/** Whether something takes connections at this port of this machine. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
