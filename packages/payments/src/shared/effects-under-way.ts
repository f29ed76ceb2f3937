import { type Database, sql } from '@seatbelt/database'
import type { Attempt } from '@seatbelt/safety'
import { isOwnedBy, type LeasedTable, leasedPayments, leasedRefunds } from './leased-work.ts'
import type { PaymentLayers } from './payment-deps.ts'

interface UnderWay {
  readonly table: LeasedTable
  readonly attempt: Attempt
}

/**
 * The attempts of this process that wait for the gateway.
 *
 * A process that stops gives them up, so that recovery takes them at once. Otherwise each would wait for the end of its
 * lease, and so would its customer, at every deployment.
 */
export class EffectsUnderWay {
  readonly #all = new Set<UnderWay>()

  /** The same layers, with effects that are known here while they last. */
  watch(layers: PaymentLayers): PaymentLayers {
    return {
      ...layers,
      gatewayIntent: (attempt) => this.#during({ table: leasedPayments, attempt }, () => layers.gatewayIntent(attempt)),
      gatewayRefund: (attempt) => this.#during({ table: leasedRefunds, attempt }, () => layers.gatewayRefund(attempt)),
    }
  }

  /**
   * Ends the ownership of all of them: they are due now. To be called when no request is answered any more.
   *
   * A request of theirs may still be on its way to the gateway, as when a process dies: the next owner looks first, and
   * the intent, or the refund's key, keeps the money from moving twice. An outcome that arrives here nevertheless is
   * settled, unless another owner has taken over.
   */
  async giveUp(database: Pick<Database, 'query'>): Promise<void> {
    await Promise.all(
      [...this.#all].map(({ table, attempt }) =>
        database.query(sql`
          UPDATE ${table.name} SET leased_until = NULL, owner = NULL, next_attempt_at = clock_timestamp()
           WHERE ${isOwnedBy(table, attempt)} AND leased_until IS NOT NULL`),
      ),
    )
  }

  async #during<T>(effect: UnderWay, work: () => Promise<T>): Promise<T> {
    this.#all.add(effect)
    try {
      return await work()
    } finally {
      this.#all.delete(effect)
    }
  }
}
