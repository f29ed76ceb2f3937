import { Prisma, type Tx } from '@seatbelt/database'
import type { Hold } from '@seatbelt/domain'
import { type Call, type Guarded, guardTransaction, isContention } from '@seatbelt/safety'
import { atCustomer, overLimit, readSale, refuse } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import { expireHoldsOfTier } from './expire-holds.ts'
import { answerHeld } from './hold-created-answer.ts'
import { type HoldRow, holdColumns, toHold } from './hold-rows.ts'

export interface Places {
  readonly eventId: string
  readonly customerId: string
  readonly tierId: string
  readonly quantity: number
}

/**
 * Holds places of a tier.
 *
 * Guarantees: `sold-out` is the truth of one moment at which nothing of the tier had lapsed. Where it may have, that is expired
 * first, after rolling back and in a transaction of its own: in the same one, two who wait for each other's rows deadlock.
 */
export async function holdPlaces(deps: BookingDeps, call: Call, wanted: Places): Promise<Guarded<never>> {
  const first = await takePlaces(deps, call, wanted)
  if (!first.mayHaveLapsed) return first.result
  await expireHoldsOfTier(deps, wanted.tierId).catch(stillSomebodys)
  return (await takePlaces(deps, call, wanted)).result
}

/** What could not be locked in time is being decided about: it is not free. */
function stillSomebodys(fault: unknown): void {
  if (!isContention(fault)) throw fault
}

interface Taken {
  readonly result: Guarded<never>
  /** It was refused, and holds that lapsed, or a race for the last places, may be why. */
  readonly mayHaveLapsed: boolean
}

async function takePlaces(deps: BookingDeps, call: Call, asked: Places): Promise<Taken> {
  const { layers, payments, policy } = deps
  const { eventId, customerId, tierId, quantity } = asked
  const { accountId } = call
  const soldOut = refuse({ code: 'sold-out', tierId })
  let mayHaveLapsed = false
  const result = await guardTransaction(layers, call, {
    ...atCustomer(call, asked),
    work: async (tx, rollBack) => {
      const sale = await readSale<WantedTier | null>(tx, { accountId, eventId, customerId }, wantedTier(asked))
      if (sale.kind === 'refused') return sale
      const { wanted: tier, currency } = sale
      if (!tier) return refuse({ code: 'tier-not-found', tierId })
      const { capacity, priceMinor } = tier
      if (quantity > capacity) return refuse({ code: 'quantity-over-capacity', tierId, capacity })
      const tooMany = overLimit(sale, asked)
      if (tooMany) return refuse(tooMany)

      mayHaveLapsed = tier.mayHaveLapsed
      if (tier.free < quantity) return soldOut
      const amountMinor = quantity * priceMinor
      const hold = { id: payments.newId(), accountId, eventId, customerId, tierId, quantity, amountMinor, currency }
      const held = await insert(tx, hold, policy.holdMs)
      if (held) return answerHeld(deps, tx, held)
      mayHaveLapsed = true
      return rollBack(soldOut)
    },
  })
  const isSoldOut = result.kind === 'refused' && result.refusal.code === 'sold-out'
  return { result, mayHaveLapsed: isSoldOut && mayHaveLapsed }
}

interface WantedTier {
  readonly priceMinor: number
  readonly capacity: number
  readonly free: number
  /** Asked only where not enough is free. */
  readonly mayHaveLapsed: boolean
}

function wantedTier({ tierId, quantity }: Places): Prisma.Sql {
  return Prisma.sql`
    (SELECT json_build_object(
              'priceMinor', price_minor, 'capacity', capacity, 'free', capacity - sold - held,
              'mayHaveLapsed', sold + held + ${quantity} > capacity AND EXISTS (
                SELECT FROM holds WHERE holds.tier_id = tier.id AND state = 'active' AND expires_at <= statement_timestamp()))
       FROM tiers AS tier WHERE tier.id = ${tierId}::uuid AND tier.event_id = event.id)`
}

type NewPlaces = Pick<Hold, 'id' | 'accountId' | 'eventId' | 'customerId' | 'quantity' | 'amountMinor' | 'currency'> & {
  readonly tierId: string
}

/**
 * The tier's row is the last one that is locked, because everybody wants it. Null: somebody was faster, and the hold that was
 * written is to be rolled back.
 */
async function insert(tx: Tx, hold: NewPlaces, holdMs: number): Promise<Hold | null> {
  const [row] = await tx.$queryRaw<(HoldRow & { fits: boolean })[]>`
    WITH hold AS (
      INSERT INTO holds (id, account_id, event_id, customer_id, tier_id, quantity, amount_minor, currency, expires_at)
      VALUES (${hold.id}::uuid, ${hold.accountId}::uuid, ${hold.eventId}::uuid, ${hold.customerId}, ${hold.tierId}::uuid,
              ${hold.quantity}, ${hold.amountMinor}, ${hold.currency},
              clock_timestamp() + make_interval(secs => ${holdMs} / 1000.0))
      RETURNING *),
    taken AS (
      UPDATE tiers SET held = held + ${hold.quantity}
       WHERE id = ${hold.tierId}::uuid AND sold + held + ${hold.quantity} <= capacity
      RETURNING id)
    SELECT ${holdColumns}, EXISTS (SELECT FROM taken) AS fits FROM hold`
  return row?.fits ? toHold(row, null) : null
}
