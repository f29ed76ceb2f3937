import { closeSync, copyFileSync, openSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { endGroup, identify, spawnGroup } from '../../../../scripts/process-groups.mjs'
import { forgetProcess, type Run, recordProcess } from '../../../../scripts/run-records.mjs'
import { lastLines } from '../../../../scripts/run-tool.mjs'

/** What a process needs in order to be started, also for a second time. */
export interface ProcessPlan {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly folder: string
  readonly environment: NodeJS.ProcessEnv
  /** Another user than this process's own; only root can ask for that. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /**
   * How it ends when this process is killed: it watches its stdin (our own programs, EXIT_WITH_PARENT), or the kernel sends it this
   * signal (servers of others; Linux only).
   */
  readonly endsWithParent: 'by-stdin' | { readonly signal: 'INT' | 'KILL' }
  /** Asks it to end in good order. */
  readonly stopSignal: NodeJS.Signals
  /** How long that may take before it is killed. */
  readonly graceMs: number
  readonly readyWithinMs: number
  readonly isReady: () => Promise<boolean>
}

export interface ProcessEnd {
  readonly name: string
  /** `exit code N` or `SIGNAL`. */
  readonly how: string
  readonly lastLines: string
}

export interface Supervisor {
  /** Starts processes together. Resolves when all are ready; rejects with `NotReady` and leaves them to `stop`. */
  start(plans: readonly ProcessPlan[]): Promise<void>
  /** SIGKILL, as a crash would be. Resolves when the process is gone. */
  kill(name: string): Promise<void>
  /** Starts a process that has ended once more, with its old plan. Resolves when it is ready. */
  startAgain(name: string): Promise<void>
  /** Stops all, the last started first: each gets its signal, its grace period, then SIGKILL. May be called at any time, also twice. */
  stop(): Promise<void>
  /** Hears of processes that ended without having been asked to. */
  onUnexpectedEnd(listener: (end: ProcessEnd) => void): void
  /** The process's number while it runs. */
  pid(name: string): number | null
  readonly names: readonly string[]
  logPath(name: string): string
}

/** Processes that were not ready within their bound; the message names each and ends with what it said last. */
export class NotReady extends Error {
  readonly code = 'not-ready'
  readonly expected = true
}

const lookAgainMs = 50

/** Of each process this much of its log is kept, twice: the current file and the one before. */
const logLimitBytes = 64 * 1024 * 1024
const logCheckEveryMs = 10_000

interface Supervised {
  readonly plan: ProcessPlan
  readonly stage: number
  pid: number | null
  identity: string | null
  /** Set while its end is our own doing. */
  endIsExpected: boolean
  ended: Promise<string>
}

/**
 * Starts, watches and stops the processes of one run. Each is written into the run's records at its start, so that the next run can
 * end it if this one is killed. `signal` ends every wait for readiness.
 */
export function supervise(run: Run, signal?: AbortSignal): Supervisor {
  const processes = new Map<string, Supervised>()
  const listeners: ((end: ProcessEnd) => void)[] = []
  let stages = 0
  let stopping: Promise<void> | null = null
  const logPath = (name: string) => join(run.logs, `${name}.log`)
  const logBound = setInterval(() => boundLogs([...processes.keys()].map(logPath)), logCheckEveryMs).unref()

  function launch(plan: ProcessPlan, stage: number): Supervised {
    if (stopping !== null) throw new Error(`${plan.name} was to be started while everything is being stopped`)
    const child = spawnWithLog(plan, logPath(plan.name))
    const supervised: Supervised = {
      plan,
      stage,
      pid: child.pid ?? null,
      identity: child.pid === undefined ? null : identify(child.pid),
      endIsExpected: false,
      ended: new Promise((resolve) => {
        child.once('error', (error) => resolve(error.message))
        child.once('exit', (code, killedBy) => resolve(code === null ? String(killedBy) : `exit code ${code}`))
      }),
    }
    if (child.pid !== undefined) recordProcess(run, plan.name, { pid: child.pid, signal: plan.stopSignal })
    processes.set(plan.name, supervised)
    void supervised.ended.then((how) => noteEnd(supervised, how))
    return supervised
  }

  function noteEnd(supervised: Supervised, how: string): void {
    const { name } = supervised.plan
    supervised.pid = null
    if (processes.get(name) === supervised) forgetProcess(run, name)
    if (supervised.endIsExpected) return
    for (const listener of listeners) listener({ name, how, lastLines: lastLines(logPath(name), 10) })
  }

  async function bringUp(plans: readonly ProcessPlan[], stage: number): Promise<void> {
    signal?.throwIfAborted()
    const launched = plans.map((plan) => launch(plan, stage))
    const problems = await Promise.all(launched.map((supervised) => waitUntilReady(supervised, signal)))
    signal?.throwIfAborted()
    const reports = launched.flatMap(({ plan: { name } }, index) => {
      const problem = problems[index] ?? null
      return problem === null ? [] : [`${name} ${problem}. The end of ${logPath(name)}:\n${lastLines(logPath(name))}`]
    })
    if (reports.length > 0) throw new NotReady(reports.join('\n\n'))
  }

  async function stopAll(): Promise<void> {
    clearInterval(logBound)
    for (let stage = stages; stage > 0; stage -= 1) {
      const members = [...processes.values()].filter((supervised) => supervised.stage === stage)
      await Promise.all(members.map((supervised) => endSupervised(supervised, supervised.plan.stopSignal)))
    }
  }

  function find(name: string): Supervised {
    const supervised = processes.get(name)
    if (supervised === undefined)
      throw new Error(`there is no process ${name}; there are ${[...processes.keys()].join(', ')}`)
    return supervised
  }

  return {
    async start(plans) {
      stages += 1
      await bringUp(plans, stages)
    },
    kill: (name) => endSupervised(find(name), 'SIGKILL'),
    async startAgain(name) {
      const { plan, stage, pid } = find(name)
      if (pid !== null) throw new Error(`${name} is still running`)
      await bringUp([plan], stage)
    },
    stop() {
      stopping ??= stopAll()
      return stopping
    },
    onUnexpectedEnd: (listener) => void listeners.push(listener),
    pid: (name) => find(name).pid,
    get names() {
      return [...processes.keys()]
    },
    logPath,
  }
}

function spawnWithLog(plan: ProcessPlan, logPath: string) {
  const output = openSync(logPath, 'a')
  const byStdin = plan.endsWithParent === 'by-stdin'
  const child = spawnGroup(plan.command, plan.args, {
    cwd: plan.folder,
    env: byStdin ? { ...plan.environment, EXIT_WITH_PARENT: '1' } : plan.environment,
    stdio: [byStdin ? 'pipe' : 'ignore', output, output],
    ...plan.user,
    ...(byStdin ? { bindToParent: false } : {}),
    ...(typeof plan.endsWithParent === 'object' ? { deathSignal: plan.endsWithParent.signal } : {}),
  })
  closeSync(output)
  // Nothing is ever written to it; that it closes with this process is all it is for.
  child.stdin?.on('error', () => undefined)
  return child
}

/** Null: ready. Otherwise why not. */
async function waitUntilReady(supervised: Supervised, signal: AbortSignal | undefined): Promise<string | null> {
  const { isReady, readyWithinMs } = supervised.plan
  let ended: string | null = null
  void supervised.ended.then((how) => {
    ended = how
  })
  const deadline = performance.now() + readyWithinMs
  while (signal?.aborted !== true) {
    if (ended !== null) return `ended before it was ready (${ended})`
    if (await isReady()) return null
    if (performance.now() > deadline) return `was not ready within ${readyWithinMs / 1_000} s`
    await sleep(lookAgainMs)
  }
  return 'was interrupted'
}

async function endSupervised(supervised: Supervised, signal: NodeJS.Signals): Promise<void> {
  const { pid, identity, plan } = supervised
  supervised.endIsExpected = true
  if (pid === null) return
  await endGroup(pid, { signal, graceMs: plan.graceMs, identity })
  // The kernel's word comes first; ours follows when Node has heard it, so that nobody starts a successor too early.
  await supervised.ended
}

/** The writers append, so that a file which is cut to nothing goes on from its beginning. */
function boundLogs(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      if (statSync(path).size <= logLimitBytes) continue
      copyFileSync(path, `${path}.before`)
      truncateSync(path)
    } catch {
      // A log that is gone needs no bound.
    }
  }
}
