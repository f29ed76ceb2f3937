import { join } from 'node:path'
import type { HallSize } from '../../../../loadtests/lib/hall.ts'
import { runTool } from '../../../../scripts/run-tool.mjs'
import type { StackAddresses } from './current-stack.ts'
import { developmentApiKey } from './description.ts'

export interface LoadOptions {
  readonly root: string
  /** The program, from `findK6`. */
  readonly k6: string
  /** A script in loadtests/, without `.ts`. */
  readonly name: string
  readonly stack: StackAddresses
  /** Names the run in the auditor, and begins each idempotency key. Default: the script's name and the time. */
  readonly run?: string
  readonly orders?: number | undefined
  readonly copies?: number | undefined
  readonly concurrency?: number | undefined
  /** How large a hall is that is sold; as the load has it by default. */
  readonly hall?: HallSize | undefined
  /** How long a client asks again before it counts as unsettled; as the load has it by default. */
  readonly settleWithinMs?: number | undefined
  /** Have the orders an address that their receipts go to? Not by default. */
  readonly receipts?: boolean
  /** A file for all figures as JSON. */
  readonly summaryPath?: string
  /** A file for k6's output; null: the terminal. */
  readonly log: string | null
  readonly signal?: AbortSignal | undefined
  /** Told k6's process number, for the run's records. */
  readonly onStart?: (pid: number) => void
}

/** `passed`: every threshold held. `failed`: at least one did not. `unknown`: k6 itself could not finish, so that nothing is known. */
export type LoadOutcome = 'passed' | 'failed' | 'unknown'

/** k6's exit code when thresholds were crossed; all others but 0 mean that the script or k6 broke off. */
const thresholdsCrossed = 99

/** A k6 before version 2 would open a fixed port to be controlled by, on which two runs side by side meet. */
const withoutControl = ['--address', '']

/** Runs a load test against a stack to its end. Aborting `signal` ends k6 and throws its reason. */
export async function runK6(options: LoadOptions): Promise<LoadOutcome> {
  const { root, k6, name, log, signal } = options
  const script = join(root, 'loadtests', `${name}.ts`)
  const { exitCode } = await runTool(k6, ['run', '--no-usage-report', '--no-color', ...withoutControl, script], {
    folder: root,
    log,
    environment: loadEnvironment(options),
    signal,
    onStart: options.onStart,
  })
  if (exitCode === 0) return 'passed'
  return exitCode === thresholdsCrossed ? 'failed' : 'unknown'
}

function loadEnvironment(options: LoadOptions): Record<string, string> {
  const { name, stack, orders, copies, concurrency, hall, settleWithinMs, summaryPath } = options
  const figures = {
    ...{ ORDERS: orders, COPIES: copies, CONCURRENCY: concurrency },
    ...{ SEATS: hall?.seats, PLACES: hall?.places },
    ...{ SETTLE_WITHIN_MS: settleWithinMs, SUMMARY: summaryPath },
  }
  const given = Object.entries(figures).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(given.map(([variable, value]) => [variable, String(value)])),
    REPLICAS: stack.replicas.join(','),
    BOOKING_REPLICAS: stack.bookingReplicas.join(','),
    GATEWAY_URL: stack.gatewayUrl,
    AUDITOR_URL: stack.auditorUrl,
    RECEIPTS: options.receipts === true ? 'on' : 'off',
    RUN: options.run ?? `${name}-${Date.now()}`,
    API_KEY: developmentApiKey,
    // Set in somebody's shell, it would let every load pass.
    K6_NO_THRESHOLDS: 'false',
    // It would look on the network for a k6 with extensions.
    K6_AUTO_EXTENSION_RESOLUTION: 'false',
  }
}
