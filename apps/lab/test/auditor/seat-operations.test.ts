import { expect, it } from 'vitest'
import type { SeatAttempt } from '../../src/auditor/seat-attempt.ts'
import { seatOperations } from '../../src/auditor/seat-operations.ts'
import { cleanHistory } from './history.ts'
import { addHeld, holdMs, owner, seatAttempt } from './sale.ts'

const { holdId, customerId, heldAt } = owner
const silence = { outcome: 'info', status: 0 } as const
const refusedCard = (holdState: string): Partial<SeatAttempt> => ({
  ...{ outcome: 'fail', status: 402, code: 'payment-declined' },
  failedCheckout: { orderId: 'order', holdState, expiresAt: new Date(90_000).toISOString() },
})

function held(): SeatAttempt[] {
  const history = cleanHistory([])
  addHeld(history, owner)
  return history.seats.attempts
}

function lastOf(...attempts: SeatAttempt[]) {
  return seatOperations([...held(), ...attempts])
    .get('seat-2')
    ?.at(-1)
}

it('files a hold under each of its seats', () => {
  const operation = {
    ...{ kind: 'hold', holdId, customerId, sentAt: heldAt, endedAt: heldAt + 100, isCertain: true },
    until: heldAt + holdMs,
  }
  expect([...seatOperations(held())]).toEqual([
    ['seat-1', [operation]],
    ['seat-2', [operation]],
  ])
})

it('knows the seats that were chosen for the customer from the answer', () => {
  const [hold] = held()
  if (hold === undefined) throw new Error('nothing held')
  expect([...seatOperations([{ ...hold, seatIds: [] }]).keys()]).toEqual(['seat-1', 'seat-2'])
})

it('takes all requests with one key for one operation, from the first request to the first answer that acknowledged it', () => {
  const operation = lastOf(
    seatAttempt(owner, 'release', 30_000, { replayed: true }),
    seatAttempt(owner, 'release', 22_000, silence),
    seatAttempt(owner, 'release', 25_000, { outcome: 'fail', status: 409, code: 'request-in-progress' }),
    seatAttempt(owner, 'release', 27_000),
  )
  expect(operation).toMatchObject({ kind: 'release', sentAt: 22_000, endedAt: 27_100, isCertain: true })
  expect(seatOperations(held()).get('seat-1')).toHaveLength(1)
})

it('what was never answered has no end, and need not have been', () => {
  expect(lastOf(seatAttempt(owner, 'checkout', 22_000, { ...silence, status: 202 }))).toEqual({
    ...{ kind: 'checkout', holdId, customerId, sentAt: 22_000, endedAt: Number.POSITIVE_INFINITY, isCertain: false },
    until: null,
  })
})

it('a card that was refused extends the hold to what was told, and the last one ends it', () => {
  expect(lastOf(seatAttempt(owner, 'checkout', 22_000, refusedCard('active')))).toMatchObject({
    ...{ kind: 'extend', isCertain: true, until: 90_000 },
  })
  expect(lastOf(seatAttempt(owner, 'checkout', 22_000, refusedCard('expired')))).toMatchObject({
    ...{ kind: 'release', isCertain: true, until: null },
  })
})

it('a checkout that was voided may have freed the seats, and must not have', () => {
  const voided = { outcome: 'fail', status: 410, code: 'checkout-voided' } as const
  expect(lastOf(seatAttempt(owner, 'checkout', 22_000, voided))).toMatchObject({
    ...{ kind: 'release', isCertain: false, endedAt: 22_100 },
  })
})

it('a hold that nobody was told of, and a refusal, are no operations', () => {
  const refused = { outcome: 'fail', status: 409, code: 'seats-taken', holdId: null } as const
  const others = [
    seatAttempt({ ...owner, key: 'a' }, 'hold', 22_000, { ...silence, holdId: null }),
    seatAttempt({ ...owner, key: 'b' }, 'hold', 22_000, refused),
    seatAttempt({ ...owner, key: 'c' }, 'release', 22_000, { outcome: 'fail', status: 409, code: 'hold-checking-out' }),
  ]
  expect(seatOperations([...held(), ...others])).toEqual(seatOperations(held()))
})
