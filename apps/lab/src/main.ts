import { runBenchLocks } from './bench-locks/run-bench-locks.ts'
import { load } from './commands/load.ts'
import { start } from './commands/start.ts'
import { test } from './commands/test.ts'
import { runDemo } from './demo/run-demo.ts'

/** What scripts/bootstrap.mjs hands over, once everything is set up. It has read and checked the words. */
export interface Command {
  readonly command: 'demo' | 'start' | 'load' | 'test' | 'bench:locks'
  readonly options: CommandOptions
  readonly root: string
  /** Aborted by Ctrl-C, SIGTERM or SIGHUP; its reason is the signal's name. */
  readonly signal: AbortSignal
}

export interface CommandOptions {
  readonly keep?: boolean
  readonly name?: string
  readonly orders?: number
  readonly copies?: number
  readonly concurrency?: number
  readonly quick?: boolean
  readonly document?: boolean
}

/** Runs a command in the bootstrap's process and resolves to its exit code. Nothing that it started is running then. */
export async function main({ command, options, root, signal }: Command): Promise<number> {
  const say = (text: string) => console.log(text)
  switch (command) {
    case 'demo':
      return runDemo({ root, report: 'demo', signal, say, keep: options.keep === true, orders: options.orders })
    case 'start':
      return start({ root, signal, say })
    case 'load':
      return load({ ...options, name: options.name ?? '', root, signal, say })
    case 'test':
      return test({ root, signal, say })
    case 'bench:locks':
      return runBenchLocks({
        ...{ root, signal, say },
        quick: options.quick === true,
        fillDocument: options.document === true,
      })
    default:
      throw new Error(`a command without an implementation: ${command satisfies never}`)
  }
}
