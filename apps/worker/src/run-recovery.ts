import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '@seatbelt/http'
import type { Recovered } from '@seatbelt/payments'
import { Counter, type Registry } from 'prom-client'

export interface RecoveryOptions {
  /** Takes over and finishes one payment that is due; null: none is. */
  readonly recover: () => Promise<Recovered | null>
  /** Payments at once. They spend their time waiting for the gateway. */
  readonly lanes: number
  /** How long a lane rests when nothing is due, on average: thus how late a payment is found. */
  readonly idlePauseMs: number
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
}

/** The database or the gateway's client is in trouble: asking faster would not help either. */
const pauseAfterFaultMs = 2_000

/**
 * Recovers what is due until the signal fires, and resolves when the last payment under way is written down.
 *
 * Any number of copies may run: each payment is taken by one. A fault in one lane is logged and does not end it.
 */
export async function runRecovery(options: RecoveryOptions): Promise<void> {
  const recovered = new Counter({
    name: 'payment_recoveries_total',
    help: 'Passages of recovery over a payment whose owner did not finish it, by what came of them.',
    labelNames: ['result'],
    registers: [options.registry],
  })
  const count = (result: string) => recovered.inc({ result })
  await Promise.all(Array.from({ length: options.lanes }, () => runLane(options, count)))
}

async function runLane(options: RecoveryOptions, count: (result: string) => void): Promise<void> {
  const { recover, idlePauseMs, signal, logger } = options
  while (!signal.aborted) {
    try {
      const recovered = await recover()
      if (recovered) {
        count(recovered.result.kind)
        logger.info({ paymentId: recovered.payment.id, result: recovered.result.kind }, 'payment recovered')
      } else {
        // Jitter, so that lanes and copies that started together do not ask together for ever.
        await rest(idlePauseMs * (0.5 + Math.random()), signal)
      }
    } catch (fault) {
      count('fault')
      logger.error({ err: fault }, 'recovery failed; the payment is due again when its lease is over')
      await rest(pauseAfterFaultMs, signal)
    }
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined)
}
