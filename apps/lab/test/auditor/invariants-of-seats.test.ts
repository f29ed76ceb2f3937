import { describe, expect, it } from 'vitest'
import type { Evidence } from '../../src/auditor/evidence.ts'
import { type Invariant, report } from '../../src/auditor/invariant.ts'
import { answersIdentical } from '../../src/auditor/invariants/answers-identical.ts'
import { capacityKept } from '../../src/auditor/invariants/capacity-kept.ts'
import { invariants } from '../../src/auditor/invariants/index.ts'
import { nothingLeftOver } from '../../src/auditor/invariants/nothing-left-over.ts'
import { seatsSoldOnce } from '../../src/auditor/invariants/seats-sold-once.ts'
import { at, ledgerEntry, type MutableEvidence, orderRow, paidOrder, paymentRow, rowOf, sha } from './history.ts'
import {
  addAnswer,
  addBooked,
  addHeld,
  eventId,
  former,
  holdMs,
  owner,
  sale,
  seatAttempt,
  sectionId,
  standing,
  stroller,
  tierId,
} from './sale.ts'
import { wholeHistory } from './whole-history.ts'

/** Wants the owner's second seat as well, half a minute later. */
const rival = sale(720, { seatIds: ['seat-2'], tierId: null, quantity: 1, heldAt: 55_000 })

interface Planted {
  readonly what: string
  readonly invariant: Invariant
  readonly subject: string
  readonly says: RegExp
  readonly plant: (history: MutableEvidence) => void
}

const plantedInBooks: readonly Planted[] = [
  {
    what: 'a seat with two bookings, both paid for',
    invariant: seatsSoldOnce,
    subject: 'seat-2',
    says: /booked at once by booking-701, booking-720/,
    plant: (history) => {
      addHeld(history, rival)
      addBooked(history, rival)
      // As nobody was told of it.
      history.seats.attempts = history.seats.attempts.filter(({ customerId }) => customerId !== rival.customerId)
    },
  },
  {
    what: 'a booking that began before the one before it had ended',
    invariant: seatsSoldOnce,
    subject: 'seat-1',
    says: /booked at once/,
    plant: ({ seats: { books } }) => {
      at(books.bookedSeats, 0).releasedAt = new Date(owner.heldAt + 1_051)
    },
  },
  {
    what: 'a seat with two claims',
    invariant: seatsSoldOnce,
    subject: 'seat-2',
    says: /claimed by hold-701, hold-703/,
    plant: ({ seats: { books } }) => books.claims.push({ seatId: 'seat-2', holdId: stroller.holdId, bookingId: null }),
  },
  {
    what: 'a booked seat whose claim is gone',
    invariant: seatsSoldOnce,
    subject: 'seat-2',
    says: /no claim is left of booking booking-701/,
    plant: ({ seats: { books } }) => {
      books.claims = books.claims.filter(({ seatId }) => seatId !== 'seat-2')
    },
  },
  {
    what: 'a seat that a booking lost',
    invariant: seatsSoldOnce,
    subject: 'seat-2',
    says: /no booked seat is left of booking booking-701/,
    plant: ({ seats: { books } }) => {
      books.bookedSeats = books.bookedSeats.filter(({ seatId }) => seatId !== 'seat-2')
    },
  },
  {
    what: 'a cancelled booking that kept its seat',
    invariant: seatsSoldOnce,
    subject: 'seat-3',
    says: /does not stand: booking-700/,
    plant: ({ seats: { books } }) =>
      books.bookedSeats.push({ seatId: 'seat-3', bookingId: former.bookingId, releasedAt: null }),
  },
  {
    what: 'a confirmed booking that was never charged',
    invariant: seatsSoldOnce,
    subject: owner.bookingId,
    says: /charged nothing/,
    plant: (history) => {
      history.ledger = history.ledger.filter(({ orderId }) => orderId !== owner.orderId)
    },
  },
  {
    what: 'a confirmed booking that was charged twice',
    invariant: seatsSoldOnce,
    subject: standing.bookingId,
    says: /charged 1702 EUR and 1702 EUR/,
    plant: ({ ledger }) => ledger.push(ledgerEntry(standing, { chargeId: 'ch_second' })),
  },
  {
    what: 'a confirmed booking that was charged another price than that of its hold',
    invariant: seatsSoldOnce,
    subject: standing.bookingId,
    says: /confirmed at 1702 EUR, and charged 1 EUR/,
    plant: (history) => {
      history.ledger = history.ledger.map((entry) =>
        entry.chargeId === standing.chargeId ? { ...entry, amountMinor: 1 } : entry,
      )
    },
  },
  {
    what: 'a cancelled booking whose money was kept',
    invariant: seatsSoldOnce,
    subject: former.orderId,
    says: /1700 paid for no seat, and not given back/,
    plant: (history) => {
      history.ledger = history.ledger.filter(({ type }) => type !== 'refund.created')
    },
  },
  {
    what: 'a cancelled booking of which a part of the money was kept',
    invariant: seatsSoldOnce,
    subject: former.orderId,
    says: /^1 paid for no seat/,
    plant: (history) => {
      history.ledger = history.ledger.map((entry) =>
        entry.orderId === former.orderId && entry.type === 'refund.created'
          ? { ...entry, amountMinor: former.amountMinor - 1 }
          : entry,
      )
    },
  },
  {
    what: 'a checkout that was paid for and got no booking',
    invariant: seatsSoldOnce,
    subject: 'order-730',
    says: /1730 paid for no seat/,
    plant: ({ books, ledger }) => {
      const paid = paidOrder(730)
      books.orders.push(orderRow(paid, { purpose: 'checkout' }))
      ledger.push(ledgerEntry(paid))
    },
  },
  {
    what: 'a tier that says more sold than its bookings',
    invariant: capacityKept,
    subject: tierId,
    says: /says 4 sold, its bookings 3/,
    plant: ({ seats: { books } }) => Object.assign(at(books.tiers, 0), { sold: 4 }),
  },
  {
    what: 'a tier that says less held than its holds',
    invariant: capacityKept,
    subject: tierId,
    says: /says 0 held, its holds 2/,
    plant: ({ seats: { books } }) => Object.assign(at(books.tiers, 0), { heldByRows: 2 }),
  },
  {
    what: 'a tier of which more was given away than there is, while its counters agree',
    invariant: capacityKept,
    subject: tierId,
    says: /5 sold and 1 held of 5; 6 given away of 5/,
    plant: ({ seats: { books } }) =>
      Object.assign(at(books.tiers, 0), { sold: 5, soldByRows: 5, held: 1, heldByRows: 1 }),
  },
  {
    what: 'a tier that is below zero',
    invariant: capacityKept,
    subject: tierId,
    says: /3 sold and -1 held of 5/,
    plant: ({ seats: { books } }) => Object.assign(at(books.tiers, 0), { held: -1, heldByRows: -1 }),
  },
  {
    what: 'a tier that was oversold for a moment',
    invariant: capacityKept,
    subject: tierId,
    says: /5 sold and 1 held of 5 at 1970-01-01T00:00:30.000Z/,
    plant: ({ seats: { books } }) => seenOfTier(books, { fullest: { sold: 5, held: 1, at: new Date(30_000) } }),
  },
  {
    what: 'a tier that was below zero for a moment',
    invariant: capacityKept,
    subject: tierId,
    says: /once -1 sold; once -2 held/,
    plant: ({ seats: { books } }) => seenOfTier(books, { leastSold: -1, leastHeld: -2 }),
  },
  {
    what: 'a section with more claims than seats, for a moment',
    invariant: capacityKept,
    subject: sectionId,
    says: /11 claims of its 10 seats/,
    plant: ({ seats: { books } }) => {
      books.seen = {
        tiers: books.seen?.tiers ?? [],
        sections: [{ id: sectionId, samples: 1, seats: 10, mostClaims: 11 }],
      }
    },
  },
  ...(['pending', 'cancelling'] as const).map((state) => ({
    what: `a booking that is still ${state}`,
    invariant: nothingLeftOver,
    subject: owner.orderId,
    says: /still being processed/,
    plant: ({ seats: { books } }: MutableEvidence) => {
      rowOf(books.bookings, owner.bookingId).state = state
    },
  })),
  {
    what: 'a hold that is still being checked out',
    invariant: nothingLeftOver,
    subject: 'order-of-a-checkout',
    says: /still being processed/,
    plant: ({ seats: { books } }) =>
      Object.assign(rowOf(books.holds, stroller.holdId), { state: 'checking_out', orderId: 'order-of-a-checkout' }),
  },
  {
    what: 'a checkout that is only authorized, which waits for no merchant',
    invariant: nothingLeftOver,
    subject: 'order-740',
    says: /still being processed/,
    plant: ({ books }) => {
      const open = paidOrder(740)
      const voidAt = new Date(books.readAt.getTime() + 1)
      books.orders.push(orderRow(open, { purpose: 'checkout', state: 'processing' }))
      books.payments.push(paymentRow(open, { state: 'authorized', gatewayChargeId: null, voidAt }))
    },
  },
]

const plantedInHistories: readonly Planted[] = [
  {
    what: 'a seat that was held for two',
    invariant: seatsSoldOnce,
    subject: 'seat-3',
    says: /hold of hold-721 for customer-721 was acknowledged .* held by hold-703/,
    plant: (history) => addHeld(history, sale(721, { ...stroller, heldAt: stroller.heldAt + 5_000 })),
  },
  {
    what: 'a hold of a seat that is booked, long after the time of its hold',
    invariant: seatsSoldOnce,
    subject: 'seat-2',
    says: /hold of hold-720 for customer-720 .* booked by hold-701/,
    plant: (history) => addHeld(history, rival),
  },
  {
    what: 'a hold that the database lost',
    invariant: seatsSoldOnce,
    subject: stroller.holdId,
    says: /not in the database/,
    plant: ({ seats: { books } }) => {
      books.holds = books.holds.filter(({ id }) => id !== stroller.holdId)
    },
  },
  {
    what: 'a hold of other seats than were asked for',
    invariant: seatsSoldOnce,
    subject: stroller.holdId,
    says: /acknowledged 1 seats seat-3, asked for 1 seats seat-4/,
    plant: ({ seats }) => {
      seats.attempts = seats.attempts.map((one) =>
        one.customerId === stroller.customerId ? { ...one, seatIds: ['seat-4'] } : one,
      )
    },
  },
  {
    what: 'a hold that was acknowledged at another price',
    invariant: seatsSoldOnce,
    subject: stroller.holdId,
    says: /acknowledged at 1703 EUR, 1 EUR in the database/,
    plant: ({ seats: { books } }) => {
      rowOf(books.holds, stroller.holdId).amountMinor = 1
    },
  },
  {
    what: 'a hold that belongs to another customer',
    invariant: seatsSoldOnce,
    subject: stroller.holdId,
    says: /that of somebody in the database/,
    plant: ({ seats: { books } }) => {
      rowOf(books.holds, stroller.holdId).customerId = 'somebody'
    },
  },
  {
    what: 'a release that the database does not know of',
    invariant: seatsSoldOnce,
    subject: stroller.holdId,
    says: /expired in the database/,
    plant: (history) => {
      const told = history.seats.attempts.find(({ hold }) => hold?.id === stroller.holdId)?.hold
      if (told) addAnswer(history, seatAttempt(stroller, 'release', 12_000, { hold: { ...told, state: 'released' } }))
    },
  },
  {
    what: 'a booking that was acknowledged and then cancelled for nobody',
    invariant: seatsSoldOnce,
    subject: standing.bookingId,
    says: /pending in the database/,
    plant: ({ seats: { books } }) => {
      rowOf(books.bookings, standing.bookingId).state = 'pending'
    },
  },
  {
    what: 'a cancellation that the database does not know of',
    invariant: seatsSoldOnce,
    subject: standing.bookingId,
    says: /confirmed in the database/,
    plant: (history) => {
      const told = history.seats.attempts.find(({ booking }) => booking?.id === standing.bookingId)?.booking
      if (told)
        addAnswer(history, seatAttempt(standing, 'cancel', 40_000, { booking: { ...told, state: 'cancelled' } }))
    },
  },
  {
    what: 'a replayed hold with another body',
    invariant: answersIdentical,
    subject: `${stroller.key}-hold`,
    says: /2 answers/,
    plant: ({ seats }) => {
      const first = seats.attempts.find(({ hold }) => hold?.id === stroller.holdId)
      if (first) seats.attempts.push({ ...first, replayed: true, bodySha256: sha('another') })
    },
  },
  {
    what: 'a hold whose answer was not recorded',
    invariant: answersIdentical,
    subject: `${stroller.key}-hold`,
    says: /no answer is recorded/,
    plant: ({ books }) => {
      books.recordedAnswers = books.recordedAnswers.filter(({ key }) => key !== `${stroller.key}-hold`)
    },
  },
]

describe('a planted violation', () => {
  it.each([...plantedInBooks, ...plantedInHistories])('is found: $what', ({ invariant, subject, says, plant }) => {
    const history = wholeHistory([paidOrder(1)])
    plant(history)
    const found = report(invariant, history)
    expect(found.verdict).toBe('invalid')
    // A seat can be wrong in several ways at once; nothing else may be.
    expect([...new Set(found.examples.map((violation) => violation.subject))]).toEqual([subject])
    expect(at(found.examples, 0).what).toMatch(says)
  })
})

describe('a clean history', () => {
  it('may hold a card that was refused, and one that was taken after it', () => {
    const history = wholeHistory([paidOrder(1)])
    const late = sale(722, { seatIds: ['seat-5'], tierId: null, quantity: 1, heldAt: 25_000 })
    addHeld(history, late)
    addRefusedCard(history, { holdState: 'active', expiresAt: new Date(late.heldAt + holdMs + 5_000) })
    addBooked(history, { ...late, heldAt: late.heldAt + holdMs + 2_000 })
    expectClean(history)

    function addRefusedCard(
      { books, seats }: MutableEvidence,
      left: { readonly holdState: string; readonly expiresAt: Date },
    ) {
      const refused = { ...paidOrder(723), key: `${late.key}-refused` }
      books.orders.push(orderRow(refused, { purpose: 'checkout', state: 'cancelled' }))
      books.payments.push(paymentRow(refused, { state: 'declined', gatewayChargeId: null }))
      const failedCheckout = { ...left, orderId: refused.orderId, expiresAt: left.expiresAt.toISOString() }
      const answer = { outcome: 'fail', status: 402, code: 'payment-declined', failedCheckout } as const
      const attempt = seatAttempt(late, 'checkout', late.heldAt + 1_000, { ...answer, key: refused.key })
      addAnswer({ ...history, books, seats }, attempt)
    }
  })

  it('may hold refusals, which say nothing about the seat', () => {
    const history = wholeHistory([paidOrder(1)])
    const refused = { outcome: 'fail', status: 409, code: 'seats-taken', bodySha256: sha('taken') } as const
    history.seats.attempts.push(seatAttempt(rival, 'hold', 9_000, { ...refused, holdId: null }))
    expectClean(history)
  })

  it('may hold what was never answered', () => {
    const history = wholeHistory([paidOrder(1)])
    const silence = { outcome: 'info', status: 0, bodySha256: null } as const
    const unheard = sale(724, { ...rival, heldAt: 21_000 })
    history.seats.attempts.push(
      seatAttempt(unheard, 'hold', 21_000, { ...silence, holdId: null }),
      seatAttempt(stroller, 'release', 12_000, silence),
      seatAttempt(owner, 'checkout', 21_000, { ...silence, status: 202, key: 'another' }),
    )
    expectClean(history)
  })

  it('may be one in which a merchant gave the money of a booking back and let it stand', () => {
    const history = wholeHistory([paidOrder(1)])
    history.ledger.push(ledgerEntry(standing, { type: 'refund.created', refundId: 're_1', refundStatus: 'succeeded' }))
    expect(report(seatsSoldOnce, history).examples).toEqual([])
  })

  it('may hold a booking that was given up before anything was taken', () => {
    const history = wholeHistory([paidOrder(1)])
    const { books } = history.seats
    const undone = sale(725, { seatIds: ['seat-6'], tierId: null, quantity: 1, heldAt: 30_000 })
    addHeld(history, undone)
    Object.assign(rowOf(books.holds, undone.holdId), { state: 'booked', orderId: undone.orderId })
    const { bookingId, holdId, orderId, customerId } = undone
    books.bookings.push({ id: bookingId, holdId, orderId, customerId, state: 'cancelled', createdAt: new Date(31_000) })
    books.bookedSeats.push({ bookingId, seatId: 'seat-6', releasedAt: new Date(32_000) })
    history.books.orders.push(orderRow(undone, { purpose: 'checkout', state: 'cancelled' }))
    history.books.payments.push(paymentRow(undone, { state: 'voided', gatewayChargeId: null }))
    const voided = { outcome: 'fail', status: 410, code: 'checkout-voided' } as const
    addAnswer(history, seatAttempt(undone, 'checkout', 31_000, voided))
    addHeld(history, sale(726, { ...undone, heldAt: 31_050 }))
    expectClean(history)
  })
})

describe('what nobody can say', () => {
  it('I4 is unknown where the history of a seat is too long to search', () => {
    const history = wholeHistory([paidOrder(1)])
    const endless = Array.from({ length: 60 }, (_, number) => {
      const one = sale(800 + number, { seatIds: ['seat-7'], tierId: null, quantity: 1, heldAt: 10_000 })
      return [one, seatAttempt(one, 'checkout', 10_000, { outcome: 'info', status: 0 })] as const
    })
    for (const [one] of endless) addHeld(history, one)
    history.seats.attempts = history.seats.attempts.map((one) =>
      one.seatIds.includes('seat-7') ? { ...one, endedAt: 20_000 } : one,
    )
    history.seats.attempts.push(...endless.flatMap(([one, attempt]) => [attempt, { ...attempt, key: `${one.key}-2` }]))
    const last = sale(900, { seatIds: ['seat-7'], tierId: null, quantity: 1, heldAt: 21_000 })
    addHeld(history, last)
    history.seats.attempts.push(seatAttempt(last, 'cancel', 22_000, { outcome: 'ok' }))
    expect(report(seatsSoldOnce, history, ['I4'])).toMatchObject({ verdict: 'unknown', violations: 0 })
  })

  it('I5 is unknown where nobody looked while the run went on', () => {
    const history = wholeHistory([paidOrder(1)])
    history.seats.books.seen = null
    expect(report(capacityKept, history, [])).toMatchObject({ verdict: 'unknown', violations: 0 })
  })

  it("another account's answer to the same key is not taken for ours", () => {
    const history = wholeHistory([paidOrder(1)])
    const key = `${stroller.key}-hold`
    const ours = history.books.recordedAnswers.find((answer) => answer.key === key)
    if (ours) history.books.recordedAnswers.push({ ...ours, accountId: 'account-foreign', bodySha256: sha('foreign') })
    expect(history.seats.attempts.every((attempt) => attempt.eventId === eventId)).toBe(true)
    expect(report(answersIdentical, history).verdict).toBe('valid')
  })
})

function expectClean(evidence: Evidence): void {
  expect(invariants.flatMap((invariant) => report(invariant, evidence).examples)).toEqual([])
}

function seenOfTier(
  books: MutableEvidence['seats']['books'],
  changes: Partial<NonNullable<Evidence['seats']['books']['seen']>['tiers'][number]>,
): void {
  if (books.seen === null) throw new Error('nobody looked')
  books.seen = { ...books.seen, tiers: books.seen.tiers.map((tier) => ({ ...tier, ...changes })) }
}
