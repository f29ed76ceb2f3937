import { join } from 'node:path'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { closeRun, openRun, type Run, recordProcess } from '../../../../scripts/run-records.mjs'
import { findCurrentStack, type StackAddresses } from '../stack/current-stack.ts'
import { findK6 } from '../stack/k6-binary.ts'
import { type LoadOutcome, runK6 } from '../stack/run-k6.ts'
import { startStack } from '../stack/start-stack.ts'

export interface LoadCommand {
  readonly root: string
  readonly name: string
  readonly orders?: number | undefined
  readonly copies?: number | undefined
  readonly concurrency?: number | undefined
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** 0: all thresholds held; 1: at least one did not; 2: nothing is known, because the load test itself broke off. */
const exitCodes = { passed: 0, failed: 1, unknown: 2 } as const satisfies Record<LoadOutcome, number>

/** Runs a load test against the stack that runs, or, where none does, against one that is started for it and stopped after it. */
export async function load(command: LoadCommand): Promise<number> {
  const { root, name } = command
  const run = openRun(join(root, '.seatbelt'), `load ${name}`)
  try {
    // First, because it may take minutes, and may turn out not to be had.
    const k6 = await findK6({ ...command, cache: cacheFolder(), environment: process.env, logs: run.logs })
    return await withStack(command, (stack) => fire(command, { run, k6, stack }))
  } finally {
    closeRun(run)
  }
}

async function withStack<T>(
  { root, say, signal }: LoadCommand,
  work: (stack: StackAddresses) => Promise<T>,
): Promise<T> {
  const current = findCurrentStack(root)
  if (current !== null) return work(current)
  say('No stack is running here (npm start keeps one), so one is started for this load test and stopped after it ...')
  const stack = await startStack({ root, purpose: 'load', preferFixedPorts: false, say, signal })
  try {
    return await work(stack)
  } finally {
    await stack.stop()
  }
}

interface Load {
  readonly run: Run
  readonly k6: string
  readonly stack: StackAddresses
}

async function fire(command: LoadCommand, { run, ...load }: Load): Promise<number> {
  const onStart = (pid: number) => recordProcess(run, 'k6', { pid })
  const outcome = await runK6({ ...command, ...load, log: null, onStart })
  command.say(`${command.name}: ${outcome}`)
  return exitCodes[outcome]
}
