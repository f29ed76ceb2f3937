import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Task } from './explore-plan.ts'
import type { Servers } from './run-item.ts'
import type { TaskOutcome, TaskResult } from './run-task.ts'

export interface TaskRequest {
  readonly task: Task
  readonly servers: Servers
}

export type TaskAnswer = { readonly result: TaskResult } | { readonly failure: string }

export interface WorkersOptions {
  readonly root: string
  readonly maintenanceUrl: string
  readonly redisUrl: string
  readonly temporaryFolder: string
  readonly count: number
  /** Aborted when the time is over: what runs then returns what it has. */
  readonly timeUp: AbortSignal
  /** Aborted by Ctrl-C: everything ends at once. */
  readonly signal: AbortSignal
  readonly onOutcome: (outcome: TaskOutcome, ms: number) => void
}

/**
 * A task ends after its current schedule, and then drops its database. A schedule takes a fraction of a second. A stuck
 * one takes the engine's bound of 10 s.
 */
export const graceMs = 12_000

/** Runs all tasks in their order, one at a time in each worker process. Resolves when no worker is left. */
export async function runInWorkers(tasks: readonly Task[], options: WorkersOptions): Promise<void> {
  const waiting = [...tasks]
  const slots = Array.from({ length: options.count }, (_, index) => new Slot(options, index + 1))
  const end = () => {
    for (const slot of slots) slot.kill()
  }
  options.signal.addEventListener('abort', end)
  try {
    await Promise.all(slots.map((slot) => runAll(slot, waiting, options)))
  } finally {
    options.signal.removeEventListener('abort', end)
    await Promise.all(slots.map((slot) => slot.stop()))
  }
  options.signal.throwIfAborted()
}

async function runAll(slot: Slot, waiting: Task[], { timeUp, signal, onOutcome }: WorkersOptions): Promise<void> {
  for (let task = waiting.shift(); task !== undefined && !signal.aborted; task = waiting.shift()) {
    const beganMs = performance.now()
    const outcome = timeUp.aborted ? { task, result: null, failure: null } : await slot.run(task)
    if (!signal.aborted) onOutcome(outcome, performance.now() - beganMs)
  }
}

/** One worker process, and the number of the Redis database that it alone uses. A worker that died is replaced. */
class Slot {
  readonly #options: WorkersOptions
  readonly #servers: Servers
  #child: ChildProcess | null = null

  constructor(options: WorkersOptions, redisNumber: number) {
    this.#options = options
    const redisUrl = new URL(options.redisUrl)
    redisUrl.pathname = `/${redisNumber}`
    this.#servers = { maintenanceUrl: options.maintenanceUrl, redisUrl: redisUrl.href }
  }

  async run(task: Task): Promise<TaskOutcome> {
    const child = this.#running()
    const { timeUp } = this.#options
    let killTimer: NodeJS.Timeout | undefined
    const end = () => {
      if (child.connected) child.send('stop')
      killTimer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    }
    timeUp.addEventListener('abort', end)
    try {
      const answer = await ask(child, { task, servers: this.#servers })
      return 'result' in answer
        ? { task, result: answer.result, failure: null }
        : { task, result: null, failure: answer.failure }
    } finally {
      timeUp.removeEventListener('abort', end)
      clearTimeout(killTimer)
    }
  }

  #running(): ChildProcess {
    if (this.#child?.connected) return this.#child
    const { root, temporaryFolder } = this.#options
    this.#child = fork(join(root, 'apps/lab/dist/explore-worker.js'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // The databases that a killed worker leaves there end with the run.
      env: { ...process.env, TMPDIR: temporaryFolder },
      execArgv: ['--enable-source-maps', '--max-semi-space-size=32'],
    })
    return this.#child
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    if (child.connected) child.disconnect()
    await exited
  }
}

function ask(child: ChildProcess, request: TaskRequest): Promise<TaskAnswer> {
  return new Promise((resolve) => {
    const onMessage = (answer: TaskAnswer) => {
      child.off('exit', onExit)
      resolve(answer)
    }
    const onExit = (code: number | null, signal: string | null) => {
      child.off('message', onMessage)
      child.off('exit', onExit)
      resolve({ failure: `its process ended (${signal ?? `exit code ${code}`})` })
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
    // Without this function, a worker that has just died would be an event that nothing handles.
    child.send(request, (error) => {
      if (error) onExit(child.exitCode, child.signalCode)
    })
  })
}
