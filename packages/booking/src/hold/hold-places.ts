import { sql, type Tx } from '@seatbelt/database'
import type { Call } from '@seatbelt/domain'
import { readCreationReference } from '@seatbelt/payments'
import { changedOne, type Guarded, guardTransaction, isContention } from '@seatbelt/safety'
import { customerLock, overLimit, readSale } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { Wanted } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { createHold } from './create-hold.ts'
import { expireHoldsOfTier } from './expire-holds.ts'

type Places = Wanted<'places'>

/**
 * Holds places of a tier.
 *
 * Guarantees: `sold-out` is the truth of one moment at which nothing of the tier had lapsed. If holds have lapsed, they
 * are expired first, in a transaction of its own: two requests that wait for each other's rows in one would deadlock.
 */
export async function holdPlaces(deps: BookingDeps, call: Call, wanted: Places): Promise<Guarded<never>> {
  try {
    return await takePlaces(deps, call, wanted, 'first')
  } catch (fault) {
    if (!(fault instanceof HoldsHaveLapsed)) throw fault
  }
  await expireHoldsOfTier(deps, wanted.tierId).catch(leaveContended)
  return takePlaces(deps, call, wanted, 'last')
}

/** Rolls a try back: not enough places are free, and some holds of the tier have lapsed. */
class HoldsHaveLapsed extends Error {}

/** A hold that could not be locked in time is being decided about, so its places are not free. */
function leaveContended(fault: unknown): void {
  if (!isContention(fault)) throw fault
}

function takePlaces(deps: BookingDeps, call: Call, wanted: Places, turn: 'first' | 'last'): Promise<Guarded<never>> {
  const { tierId, quantity } = wanted
  const customer = { ...wanted, accountId: call.accountId }
  return guardTransaction(deps.payments.layers, call, {
    lockOn: customerLock(call, wanted),
    work: async (tx) => {
      const [sale, tier, gatewayReference] = await Promise.all([
        readSale(tx, customer),
        readTier(tx, wanted),
        readCreationReference(deps.payments, tx, call, 'hold'),
      ])
      if (sale.kind === 'refused') return sale
      if (!tier) return refuse({ code: 'tier-not-found', tierId })
      const { capacity, priceMinor } = tier
      if (quantity > capacity) return refuse({ code: 'quantity-over-capacity', tierId, capacity })
      const tooMany = overLimit(sale, wanted)
      if (tooMany) return refuse(tooMany)
      if (tier.free < quantity) {
        if (tier.hasLapsed && turn === 'first') throw new HoldsHaveLapsed()
        return refuse({ code: 'sold-out', tierId })
      }
      const hold = createHold(deps, tx, sale, { ...customer, amountMinor: quantity * priceMinor, gatewayReference })
      // The tier's row is the last one that is locked, because every request for the tier needs it.
      tx.write(sql`
        WITH changed AS (
          UPDATE tiers SET held = held + ${quantity}
           WHERE id = ${tierId}::uuid AND sold + held + ${quantity} <= capacity
          RETURNING id)
        SELECT ${changedOne['places-held']}`)
      return { kind: 'done', answer: deps.renderings.holdCreated(hold) }
    },
  })
}

interface WantedTier {
  readonly priceMinor: number
  readonly capacity: number
  readonly free: number
  /** Read only if not enough is free. */
  readonly hasLapsed: boolean
}

async function readTier(tx: Tx, { tierId, eventId, quantity }: Places): Promise<WantedTier | undefined> {
  const [tier] = await tx.read<WantedTier>(sql`
    SELECT price_minor AS "priceMinor", capacity, capacity - sold - held AS free,
           sold + held + ${quantity} > capacity AND EXISTS (
             SELECT FROM holds WHERE holds.tier_id = tiers.id AND state = 'active'
                                 AND expires_at <= statement_timestamp()) AS "hasLapsed"
      FROM tiers WHERE id = ${tierId}::uuid AND event_id = ${eventId}::uuid`)
  return tier
}
