import { runBenchHolds } from './bench-holds/run-bench-holds.ts'
import { runBenchLocks } from './bench-locks/run-bench-locks.ts'
import { load } from './commands/load.ts'
import { reconcile } from './commands/reconcile.ts'
import { review } from './commands/review.ts'
import { start } from './commands/start.ts'
import { test } from './commands/test.ts'
import { runConformance } from './conformance/run-conformance.ts'
import { runDemo } from './demo/run-demo.ts'
import { runExplore } from './explore/run-explore.ts'

/** What scripts/bootstrap.mjs hands over, once everything is set up. It has read and checked the words. */
export interface Command {
  readonly command:
    | 'demo'
    | 'start'
    | 'load'
    | 'reconcile'
    | 'review'
    | 'test'
    | 'explore'
    | 'conformance'
    | 'bench:holds'
    | 'bench:locks'
  readonly options: CommandOptions
  readonly root: string
  /** Aborted by Ctrl-C, SIGTERM or SIGHUP; its reason is the signal's name. */
  readonly signal: AbortSignal
}

export interface CommandOptions {
  readonly keep?: boolean
  readonly control?: boolean
  readonly name?: string
  readonly id?: string
  readonly fail?: boolean
  readonly cancel?: boolean
  readonly 'cancel-without-refund'?: boolean
  readonly 'refunded-outside'?: boolean
  readonly amount?: number
  readonly topic?: string
  readonly 'send-again'?: boolean
  readonly dismiss?: boolean
  readonly adopt?: boolean
  readonly refund?: boolean
  readonly 'gateway-id'?: string
  readonly as?: string
  readonly reason?: string
  readonly orders?: number
  readonly copies?: number
  readonly concurrency?: number
  readonly seats?: number
  readonly quick?: boolean
  readonly document?: boolean
  readonly act?: boolean
  readonly from?: string
  readonly to?: string
  readonly json?: boolean
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
      return load({ ...options, name: options.name ?? '', control: options.control === true, root, signal, say })
    case 'reconcile':
      return reconcile({ ...options, root, signal, say })
    case 'review':
      return review({
        ...options,
        cancelWithoutRefund: options['cancel-without-refund'] === true,
        refundedOutside: options['refunded-outside'] === true,
        sendAgain: options['send-again'] === true,
        gatewayId: options['gateway-id'],
        root,
        signal,
        say,
      })
    case 'test':
      return test({ root, signal, say })
    case 'explore':
      return runExplore({ root, signal, say, quick: options.quick === true })
    case 'conformance':
      return runConformance({ root, signal, say })
    case 'bench:holds':
      return runBenchHolds({ root, signal, say, quick: options.quick === true })
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
