import { mostSeatsPerHold, type Refusal } from '@seatbelt/domain'
import type { Call, Guarded } from '@seatbelt/safety'
import { refuse } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { HoldRequest, NewHold } from '../shared/operations.ts'
import { holdAdjacentSeats } from './hold-adjacent-seats.ts'
import { holdChosenSeats } from './hold-chosen-seats.ts'
import { holdPlaces } from './hold-places.ts'

/**
 * Sets seats or places aside for a while, at the price of this moment: all that is asked for, or nothing.
 *
 * Guarantees: no seat is held twice, and no more places than there are, whatever else goes on. Nothing depends on the sweeper:
 * what has lapsed is taken over by whoever wants it.
 * Refuses in this order: what no event could serve, the event, its sale, what is wanted of it, the customer's limit, and at last
 * what others have. Nothing is changed then.
 */
export async function holdSeats(deps: BookingDeps, call: Call, { of, ...who }: NewHold): Promise<Guarded<never>> {
  const refusal = misshapen(of)
  if (refusal) return refuse(refusal)
  switch (of.kind) {
    case 'seats':
      return holdChosenSeats(deps, call, { ...who, ...of })
    case 'places':
      return holdPlaces(deps, call, { ...who, ...of })
    case 'adjacent':
      return holdAdjacentSeats(deps, call, { ...who, ...of })
    default:
      return of satisfies never
  }
}

function misshapen(of: HoldRequest): Refusal | null {
  const quantity = of.kind === 'seats' ? of.seatIds.length : of.quantity
  if (quantity < 1) return { code: 'quantity-not-positive', quantity }
  if (quantity > mostSeatsPerHold) return { code: 'too-many-seats', mostSeats: mostSeatsPerHold }
  const twice = of.kind === 'seats' ? of.seatIds.filter((id, at) => of.seatIds.indexOf(id) < at) : []
  return twice.length > 0 ? { code: 'seats-named-twice', seatIds: [...new Set(twice)] } : null
}
