import { type Call, mostSeatsPerHold, type Refusal } from '@seatbelt/domain'
import type { Guarded } from '@seatbelt/safety'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { HoldRequest, NewHold } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { holdAdjacentSeats } from './hold-adjacent-seats.ts'
import { holdChosenSeats } from './hold-chosen-seats.ts'
import { holdPlaces } from './hold-places.ts'

/**
 * Reserves seats or places for a while, at the price of this moment: all of them, or nothing.
 *
 * Guarantees: no seat is held twice, and no more places than there are, whatever happens at the same time. It does not
 * depend on the sweeper: a lapsed claim is taken over by the next request for its seat.
 * Refuses in this order: what no event could serve, the event, its sale, the wanted seats or places, the customer's
 * limit, and what others have. A refusal changes nothing.
 */
export async function holdSeats(deps: BookingDeps, call: Call, { of, ...customer }: NewHold): Promise<Guarded<never>> {
  const refusal = validateRequest(of)
  if (refusal) return refuse(refusal)
  switch (of.kind) {
    case 'seats':
      return holdChosenSeats(deps, call, { ...customer, ...of })
    case 'places':
      return holdPlaces(deps, call, { ...customer, ...of })
    case 'adjacent':
      return holdAdjacentSeats(deps, call, { ...customer, ...of })
    default:
      return of satisfies never
  }
}

function validateRequest(of: HoldRequest): Refusal | null {
  const quantity = of.kind === 'seats' ? of.seatIds.length : of.quantity
  if (quantity < 1) return { code: 'quantity-not-positive', quantity }
  if (quantity > mostSeatsPerHold) return { code: 'too-many-seats', mostSeats: mostSeatsPerHold }
  const twice = of.kind === 'seats' ? of.seatIds.filter((id, at) => of.seatIds.indexOf(id) < at) : []
  return twice.length > 0 ? { code: 'seats-named-twice', seatIds: [...new Set(twice)] } : null
}
