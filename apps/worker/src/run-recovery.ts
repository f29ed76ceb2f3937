import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '@seatbelt/http'
import type { Recovered, RecoveredRefund } from '@seatbelt/payments'
import { Counter, type Registry } from 'prom-client'

export interface RecoveryOptions {
  /** Takes over and finishes one payment or refund that is due; null: none is. */
  readonly recover: Recover
  /** Payments and refunds at once. They spend their time waiting for the gateway. */
  readonly lanes: number
  /** How long a lane rests when nothing is due, on average: thus how late a payment is found. */
  readonly idlePauseMs: number
  /** Takes what ends the rest of all lanes: it is called when much may have become due at once. */
  readonly onWake: (wake: () => void) => void
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
}

export type Recover = () => Promise<Recovered | RecoveredRefund | null>

/** The database or the gateway's client is in trouble: asking faster would not help either. */
const pauseAfterFaultMs = 2_000

/**
 * Recovers what is due until the signal fires, and resolves when the last payment under way is written down.
 *
 * Any number of copies may run: each payment, and each refund, is taken by one. A fault in one lane is logged and does not end it.
 */
export async function runRecovery(options: RecoveryOptions): Promise<void> {
  const recovered = new Counter({
    name: 'payment_recoveries_total',
    help: 'Passages of recovery over a payment or refund whose owner did not finish it, by what came of them.',
    labelNames: ['result'],
    registers: [options.registry],
  })
  const count = (result: string) => recovered.inc({ result })
  const rests = createRests(options.signal)
  options.onWake(rests.end)
  await Promise.all(Array.from({ length: options.lanes }, () => runLane(options, rests, count)))
}

async function runLane(options: RecoveryOptions, rests: Rests, count: (result: string) => void): Promise<void> {
  const { recover, idlePauseMs, signal, logger } = options
  while (!signal.aborted) {
    const rest = rests.begin()
    try {
      const recovered = await recover()
      if (recovered) {
        count(recovered.result.kind)
        logger.info({ ...named(recovered), result: recovered.result.kind }, 'recovered')
      } else {
        // Jitter, so that lanes and copies that started together do not ask together for ever.
        await rest(idlePauseMs * (0.5 + Math.random()))
      }
    } catch (fault) {
      count('fault')
      logger.error({ err: fault }, 'recovery failed; what it took is due again when its lease is over')
      await rest(pauseAfterFaultMs)
    }
  }
}

function named(recovered: Recovered | RecoveredRefund) {
  return 'payment' in recovered ? { paymentId: recovered.payment.id } : { refundId: recovered.refund.id }
}

interface Rests {
  /** Gives how to rest until the time is over or `end` was called, also if that was before the rest itself. */
  begin(): (ms: number) => Promise<void>
  readonly end: () => void
}

/** The rests of all lanes, which end together. A new controller for each end, so that none is listened to for ever. */
function createRests(signal: AbortSignal): Rests {
  let current = new AbortController()
  const end = () => {
    current.abort()
    if (!signal.aborted) current = new AbortController()
  }
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  return {
    end,
    begin: () => {
      const { signal: ended } = current
      return (ms) => pause(ms, undefined, { signal: ended }).catch(() => undefined)
    },
  }
}
