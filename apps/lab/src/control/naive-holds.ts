import { randomUUID } from 'node:crypto'
import type { HoldRequest, NewHold, OwnHold } from '@seatbelt/booking'
import type { Booking as BookingRow, Database, Hold as HoldRow } from '@seatbelt/database'
import {
  type Booking,
  type Call,
  decideOnSale,
  decideToExtend,
  decideToUse,
  type Event,
  type Hold,
  type Refusal,
} from '@seatbelt/domain'
import { toCurrency } from '@seatbelt/payments'
import type { Guarded } from '@seatbelt/safety'
import type { NaiveBookingDeps } from './naive-booking.ts'
import { findEvent, isLive, readSeatMap } from './naive-hall.ts'
import { answered, refused } from './naive-parts.ts'

/** Reads whether it can be had, and then takes it. */
export async function holdNaively(
  deps: NaiveBookingDeps,
  { accountId }: Call,
  { eventId, customerId, of }: NewHold,
): Promise<Guarded<never>> {
  const { database } = deps.payments
  const event = await findEvent(database, accountId, eventId)
  if (event === null) return refused({ code: 'event-not-found', eventId })
  const onSale = decideOnSale(event, new Date())
  if (onSale.code !== 'on-sale') return refused(onSale)

  const offer = of.kind === 'places' ? await findPlaces(database, of) : await findSeats(database, event, of)
  if ('code' in offer) return refused(offer)
  const hold = await writeHold(deps, event, customerId, offer)
  return answered(deps.renderings.holdCreated(toNaiveHold(hold)))
}

/** What was free when it was looked at. */
interface Offer {
  readonly seats: readonly { readonly id: string; readonly sectionId: string }[]
  readonly tierId: string | null
  readonly quantity: number
  readonly amountMinor: number
}

async function findSeats(
  database: Database,
  event: Event,
  of: Exclude<HoldRequest, { kind: 'places' }>,
): Promise<Offer | Refusal> {
  const wanted = of.kind === 'seats' ? of.seatIds : await chooseAdjacent(database, event, of)
  if (wanted === null && of.kind === 'adjacent') {
    return { code: 'no-adjacent-seats', sectionId: of.sectionId, quantity: of.quantity }
  }
  const seatIds = [...(wanted ?? [])]
  const { client } = database
  const seats = await client.seat.findMany({ where: { id: { in: seatIds }, eventId: event.id } })
  if (seats.length < seatIds.length) return { code: 'seats-not-found', seatIds }
  const taken = await client.seatClaim.findMany({ where: { seatId: { in: seatIds }, ...isLive() } })
  if (taken.length > 0) return { code: 'seats-taken', seatIds: [...new Set(taken.map(({ seatId }) => seatId))] }
  const prices = new Map(event.sections.map(({ id, priceMinor }) => [id, priceMinor]))
  const amountMinor = seats.reduce((sum, { sectionId }) => sum + (prices.get(sectionId) ?? 0), 0)
  return { seats, tierId: null, quantity: seats.length, amountMinor }
}

async function chooseAdjacent(
  database: Database,
  { id: eventId, accountId }: Event,
  { sectionId, quantity }: Extract<HoldRequest, { kind: 'adjacent' }>,
): Promise<string[] | null> {
  const map = await readSeatMap(database, accountId, eventId, sectionId)
  for (const { seats } of map?.rows ?? []) {
    let run: { readonly id: string; readonly number: number }[] = []
    for (const seat of seats) {
      const follows = run.at(-1)?.number === seat.number - 1
      if (seat.state !== 'free' || seat.accessible) run = []
      else run = follows ? [...run, seat] : [seat]
      if (run.length === quantity) return run.map(({ id }) => id)
    }
  }
  return null
}

async function findPlaces(
  { client }: Database,
  { tierId, quantity }: Extract<HoldRequest, { kind: 'places' }>,
): Promise<Offer | Refusal> {
  await giveBackLapsed(client, tierId)
  const tier = await client.tier.findFirst({ where: { id: tierId } })
  if (tier === null) return { code: 'tier-not-found', tierId }
  if (tier.sold + tier.held + quantity > tier.capacity) return { code: 'sold-out', tierId }
  return { seats: [], tierId, quantity, amountMinor: quantity * tier.priceMinor }
}

/** Looks for what has lapsed, and gives it back: two that look at the same moment give it back twice. */
async function giveBackLapsed(client: Database['client'], tierId: string): Promise<void> {
  const lapsed = await client.hold.findMany({ where: { tierId, state: 'active', expiresAt: { lte: new Date() } } })
  for (const { id, quantity } of lapsed) {
    await client.hold.update({ where: { id }, data: { state: 'expired' } })
    await client.tier.update({ where: { id: tierId }, data: { held: { decrement: quantity } } })
  }
}

async function writeHold(
  { payments: { database }, holdMs }: NaiveBookingDeps,
  { id: eventId, accountId, currency }: Event,
  customerId: string,
  { seats, tierId, quantity, amountMinor }: Offer,
): Promise<HoldRow> {
  const { client } = database
  const expiresAt = new Date(Date.now() + holdMs)
  const seatIds = seats.map(({ id }) => id).sort()
  const hold = await client.hold.create({
    data: {
      ...{ id: randomUUID(), accountId, eventId, customerId, quantity, amountMinor, currency, expiresAt },
      ...(tierId === null ? { seatIds } : { tierId }),
    },
  })
  // What has lapsed is in the way of nobody, and is tidied up.
  await client.seatClaim.deleteMany({
    where: { seatId: { in: seatIds }, pinned: false, expiresAt: { lte: new Date() } },
  })
  await client.seatClaim.createMany({
    data: seats.map(({ id, sectionId }) => ({ accountId, seatId: id, sectionId, holdId: hold.id, expiresAt })),
  })
  if (tierId !== null) await client.tier.update({ where: { id: tierId }, data: { held: { increment: quantity } } })
  return hold
}

export async function extendNaively(
  deps: NaiveBookingDeps,
  { accountId }: Call,
  { holdId, customerId }: OwnHold,
): Promise<Guarded<never>> {
  const { client } = deps.payments.database
  const hold = await findNaiveHold(deps.payments.database, accountId, holdId)
  if (hold === null) return refused({ code: 'hold-not-found', holdId })
  const decision = decideToExtend(withLapsed(hold), customerId)
  if (decision.code !== 'extend') return refused(decision)
  const expiresAt = new Date(Date.now() + deps.holdMs)
  const row = await client.hold.update({ where: { id: holdId }, data: { expiresAt, extended: true } })
  await client.seatClaim.updateMany({ where: { holdId }, data: { expiresAt } })
  return answered(deps.renderings.holdChanged(toNaiveHold(row)))
}

export async function releaseNaively(
  deps: NaiveBookingDeps,
  { accountId }: Call,
  { holdId, customerId }: OwnHold,
): Promise<Guarded<never>> {
  const { client } = deps.payments.database
  const hold = await findNaiveHold(deps.payments.database, accountId, holdId)
  if (hold === null) return refused({ code: 'hold-not-found', holdId })
  const decision = decideToUse(withLapsed(hold), customerId)
  if (decision.code !== 'use') return refused(decision)
  const row = await client.hold.update({ where: { id: holdId }, data: { state: 'released' } })
  await client.seatClaim.deleteMany({ where: { holdId } })
  if (hold.tierId !== null)
    await client.tier.update({ where: { id: hold.tierId }, data: { held: { decrement: hold.quantity } } })
  return answered(deps.renderings.holdChanged(toNaiveHold(row)))
}

/** Was its time over by this process's clock when it was read? */
export function withLapsed(hold: Hold) {
  return { ...hold, isInReview: false, lapsed: hold.state === 'expired' || hold.expiresAt <= new Date() }
}

export async function findNaiveHold({ client }: Database, accountId: string, id: string): Promise<Hold | null> {
  const row = await client.hold.findFirst({ where: { id, accountId } })
  if (row === null) return null
  // A double checkout leaves two, of which any is one.
  const booking = await client.booking.findFirst({ where: { holdId: id } })
  const hold = toNaiveHold(row, booking?.id)
  return hold.state === 'active' && hold.expiresAt <= new Date() ? { ...hold, state: 'expired' } : hold
}

export async function findNaiveBooking({ client }: Database, accountId: string, id: string): Promise<Booking | null> {
  const row = await client.booking.findFirst({ where: { id, accountId }, include: { hold: true } })
  return row && toNaiveBooking(row, toNaiveHold(row.hold))
}

export function toNaiveBooking(row: BookingRow, hold: Hold): Booking {
  const { seatIds, tierId, quantity, amountMinor, currency } = hold
  // It shows the price, and knows of no refund but its own cancellation's.
  const of = { seatIds, tierId, quantity, amountMinor, currency }
  const undisputed = { disputeState: null, disputedMinor: 0 }
  const money = { paymentState: 'succeeded', capturedMinor: amountMinor, refundedMinor: 0, owedMinor: 0 } as const
  return { ...row, ...of, ...money, ...undisputed }
}

export function toNaiveHold(row: HoldRow, bookingId: string | null = null): Hold {
  return { ...row, seatIds: row.seatIds.toSorted(), currency: toCurrency(row.currency), bookingId, bookingState: null }
}
