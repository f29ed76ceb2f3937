import type { Logger } from '@seatbelt/http'
import { Counter, type Registry } from 'prom-client'
import { runLanes } from './run-lanes.ts'

export interface HoldExpiryOptions {
  /** Ends some holds whose time is over, and says how many. */
  readonly expire: () => Promise<number>
  /** Frees the seats of one checkout that the gateway says nothing about any more. False: there is none. */
  readonly endOverdue: () => Promise<boolean>
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
}

/** Whoever wants a lapsed seat takes it over without waiting for this: it is for counters, lists and who watches. */
const idlePauseMs = 1_000

/** Ends holds whose time is over until the signal fires. Any number of copies may run, and none for a while. */
export async function runHoldExpiry({
  expire,
  endOverdue,
  signal,
  logger,
  registry,
}: HoldExpiryOptions): Promise<void> {
  const expired = new Counter({
    name: 'holds_expired_total',
    help: 'Holds that were ended because their time was over, by whether they were being paid for.',
    labelNames: ['state'],
    registers: [registry],
  })
  const onFault = (err: unknown) => logger.error({ err }, 'holds could not be ended; they are when this is tried again')
  const run = (step: () => Promise<boolean>) => runLanes({ step, lanes: 1, idlePauseMs, signal, onFault })
  await Promise.all([
    run(async () => {
      const holds = await expire()
      expired.inc({ state: 'active' }, holds)
      return holds > 0
    }),
    // A lane of its own: a fault in one must not keep the other from its work.
    run(async () => {
      const isEnded = await endOverdue()
      expired.inc({ state: 'checking_out' }, Number(isEnded))
      return isEnded
    }),
  ])
}
