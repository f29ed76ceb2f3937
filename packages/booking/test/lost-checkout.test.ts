import { randomUUID } from 'node:crypto'
import { applyGatewayEvent, listOrphans, resolveOrphan } from '@seatbelt/payments'
import type { Gateway } from '@seatbelt/safety'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { afterEffect, type CommitLog, openCommitLog } from '../../payments/test/lost-rows.ts'
import {
  type BoxOffice,
  bodyOf,
  bookingIn,
  brief,
  openBoxOffice,
  recoverEverything,
  type SoldEvent,
  type Window,
} from './box-office.ts'
import { counterOf, letLapse } from './holding.ts'

let office: BoxOffice
beforeAll(async () => {
  office = await openBoxOffice()
})
afterAll(() => office?.close())

let windows = 0

/** The first commits of a checkout remain, and all that followed are lost. */
const kept = [
  { what: 'nothing, not even the hold', commits: 0 },
  { what: 'the hold', commits: 1 },
  { what: 'the claim', commits: 2 },
  { what: 'the stored intent', commits: 3 },
  { what: 'the booking', commits: 4 },
]

const cases = kept.flatMap((lost) =>
  [true, false].flatMap((isDead) =>
    (['the same key', 'a new key'] as const).flatMap((then) =>
      (['confirmIntent', 'captureIntent'] as const)
        .filter((request) => request === 'captureIntent' || lost.commits < 4)
        .map((request) => ({ ...lost, isDead, then, request })),
    ),
  ),
)

/** A live owner enters its claim anew, as long as the hold is there. */
function isClaimed({ commits, isDead }: Pick<(typeof cases)[number], 'commits' | 'isDead'>): boolean {
  return commits >= (isDead ? 2 : 1)
}

/** To a request that does not repeat an answer: it begins anew, or meets the claim. */
function answerTo({ commits, isDead, then }: (typeof cases)[number]): string {
  if (!isClaimed({ commits, isDead })) return 'answered 201'
  if (then === 'the same key') return 'refused request-in-progress'
  return isDead && commits < 4 ? 'refused hold-checking-out' : 'refused hold-booked'
}

describe('a checkout whose commits are lost', () => {
  it.each(cases)('is charged and booked once: $what remains after $request, dead $isDead, $then', async (lost) => {
    const { commits, isDead, then, request } = lost
    const { owner, other } = await openWindows(request, (log) => log.keep(commits), isDead)
    const event = await office.newEvent({ capacity: null })
    const [holdKey, key] = [randomUUID(), randomUUID()]
    const held = await hold(owner, event, holdKey)
    // A dead owner reads that its claim is not known, or that it is unsettled.
    const first = await owner.checkOut(held, { key }).catch((fault) => fault as Error)
    const holdId = commits === 0 ? await hold(other, event, holdKey) : held
    const again = await other.checkOut(holdId, { key: then === 'the same key' ? key : randomUUID() })
    if (isClaimed(lost) && !isDead && then === 'the same key') expect(again).toEqual({ ...first, replayed: true })
    else expect(brief(again)).toBe(answerTo(lost))
    await recoverEverything(office, other)
    await other.checkOut(holdId)
    await recoverEverything(office, other)
    expect(await moneyOf(event)).toEqual({ state: 'confirmed', order: 'paid', charges: 1 })
  })
})

describe('a cancellation whose claim is lost when its refund is made', () => {
  it('is entered anew by its owner: one refund, free seats, and the key is answered for good', async () => {
    const before = { commits: 0 }
    const { owner, other, log } = await openWindows('createRefund', (log) => log.keep(before.commits))
    const event = await office.newEvent({ capacity: null })
    const held = await hold(owner, event, randomUUID())
    const { id: bookingId } = bookingIn(await owner.checkOut(held))
    before.commits = log.count()
    const key = randomUUID()
    const first = await owner.cancel(bookingId, key)
    expect(brief(first)).toBe('answered 200')
    expect(await moneyOf(event)).toMatchObject({ state: 'cancelled', order: 'refunded' })
    expect(await other.cancel(bookingId, key)).toEqual({ ...first, replayed: true })
    expect(
      (
        await office.sql('SELECT 1 FROM refunds WHERE order_id IN (SELECT order_id FROM bookings WHERE id = $1)', [
          bookingId,
        ])
      ).length,
    ).toBe(1)
  })
})

describe('a hold that was lost with its paid checkout, whose payment is an orphan now', () => {
  async function lostHold() {
    const { owner, other } = await openWindows('captureIntent', (log) => log.keep(0), true)
    const event = await office.newEvent({ capacity: null })
    const holdKey = randomUUID()
    await owner.checkOut(await hold(owner, event, holdKey), { key: randomUUID() }).catch(() => undefined)
    const { gateway, intent } = await findCaptured()
    const { accountId = '', orderId = '', paymentId = '' } = intent.metadata
    const named = { accountId, orderId, paymentId, refundId: null }
    const { deps } = other.replica
    const subject = { kind: 'intent', intentId: intent.id, named, shown: intent } as const
    const told = { id: `evt_${randomUUID()}`, type: 'payment_intent.succeeded', requestId: null, subject }
    expect(await applyGatewayEvent(deps, told)).toBe('unknown')
    const [orphan] = (await listOrphans(deps)).filter(({ gatewayIntentId }) => gatewayIntentId === intent.id)
    const operator = { name: 'ada', reason: 'looked at the gateway' }
    const decision = { id: orphan?.id ?? '', resolution: 'refund', gatewayId: null, operator } as const
    const refundIt = (around: Partial<Gateway> = {}) =>
      resolveOrphan({ payments: deps, gateway: { ...gateway, ...around } }, decision)
    return { other, event, holdKey, refundIt, gateway }
  }

  it('is not paid with money that was returned', async () => {
    const { other, event, holdKey, refundIt } = await lostHold()
    expect(await refundIt()).toMatchObject({ kind: 'resolved', detail: 'refunded' })
    await other.checkOut(await hold(other, event, holdKey))
    expect(await moneyOf(event)).toEqual({ state: 'confirmed', order: 'paid', charges: 2 })
  })

  it('is not checked out while its money is being returned', async () => {
    const { other, event, holdKey, refundIt, gateway } = await lostHold()
    const dying = refundIt({
      createRefund: async (...asked) => {
        await gateway.createRefund(...asked)
        throw new Error('the command died')
      },
    })
    await expect(dying).rejects.toThrow('died')
    const holdId = await hold(other, event, holdKey)
    expect(brief(await other.checkOut(holdId))).toBe('refused order-blocked')
    expect(await refundIt()).toMatchObject({ kind: 'resolved' })
    await other.checkOut(holdId)
    expect(await moneyOf(event)).toEqual({ state: 'confirmed', order: 'paid', charges: 2 })
  })

  it('meets its own money as long as the orphan is open', async () => {
    const { other, event, holdKey, refundIt } = await lostHold()
    await other.checkOut(await hold(other, event, holdKey))
    expect(await moneyOf(event)).toEqual({ state: 'confirmed', order: 'paid', charges: 1 })
    expect(await refundIt()).toMatchObject({ kind: 'left' })
  })
})

/** The only intent of the gateway that took money for an order that our books do not have. */
async function findCaptured() {
  let gateway: Gateway | undefined
  await office.open(`operator-${windows++}`, {
    gateway: (real) => {
      gateway = real
      return real
    },
  })
  if (!gateway) throw new Error('there is no gateway')
  const page = { createdFrom: new Date(0), createdTo: new Date(Date.now() + 60_000), after: null, limit: 1 }
  const charges = await gateway.listCharges(page)
  const newest = charges.kind === 'list' ? charges.items[0] : undefined
  const answer = await gateway.retrieveIntent(newest?.intentId ?? '')
  if (answer.kind !== 'intent') throw new Error('the gateway does not show it')
  return { gateway, intent: answer.intent }
}

describe('an owner that lives when the claim of its checkout is lost', () => {
  /** Loses all commits but that of the hold, and then `next` happens before the owner learns what the gateway did. */
  async function checkOutThatLoses(request: Request, next: (lost: Lost) => Promise<unknown> = async () => undefined) {
    const lost = { key: randomUUID(), heldId: '', seatId: '' }
    const windows = await openWindows(request, async (log) => {
      await log.keep(1)
      await next({ ...lost, ...windows, event })
    })
    const event = await office.newEvent({ capacity: null })
    lost.seatId = event.seatIds[0] ?? ''
    lost.heldId = await hold(windows.owner, event, randomUUID())
    const before = await openOrphans()
    const answer = await windows.owner.checkOut(lost.heldId, { key: lost.key })
    return { ...windows, ...lost, event, answer, orphans: (await openOrphans()) - before }
  }
  type Lost = Awaited<ReturnType<typeof openWindows>> & {
    key: string
    heldId: string
    seatId: string
    event: SoldEvent
  }
  type Request = 'confirmIntent' | 'captureIntent'
  const booked = { state: 'confirmed', order: 'paid', charges: 1 }
  const requests: Request[] = ['confirmIntent', 'captureIntent']

  it.each(requests)('enters it anew and answers with the booking, after %s', async (request) => {
    const { owner, other, event, answer, heldId, key, orphans } = await checkOutThatLoses(request)
    expect(brief(answer)).toBe('answered 201')
    expect(await moneyOf(event)).toEqual(booked)
    expect(await other.checkOut(heldId, { key })).toEqual({ ...answer, replayed: true })
    expect(orphans).toBe(0)
    expect(owner.faults()).toEqual([])
  })

  it('does so as long as the hold has its seats, although its time is over', async () => {
    const { event, answer } = await checkOutThatLoses('confirmIntent', ({ heldId }) => letLapse(office, heldId))
    expect(brief(answer)).toBe('answered 201')
    expect(await moneyOf(event)).toEqual(booked)
  })

  it.each(requests)('leaves an orphan if a seat was sold to another customer since, after %s', async (request) => {
    const buyer = { customerId: 'customer-2' }
    const { owner, event, answer, orphans } = await checkOutThatLoses(
      request,
      async ({ other, heldId, seatId, event }) => {
        await letLapse(office, heldId)
        const taken = bodyOf<{ id: string }>(await counterOf(other).seats(event, [seatId], buyer)).id
        expect(brief(await other.checkOut(taken, buyer))).toBe('answered 201')
      },
    )
    expect(answer.kind).toBe('unsettled')
    // The other customer's.
    expect(await moneyOf(event)).toEqual(booked)
    expect(orphans).toBe(1)
    expect(owner.faults().map(String)).toEqual([expect.stringContaining('orphan: the gateway has the payment pi_')])
  })

  it.each(requests)('meets a retry that has checked the hold out since, after %s', async (request) => {
    const { event, orphans } = await checkOutThatLoses(request, async ({ other, heldId }) =>
      expect(brief(await other.checkOut(heldId))).toBe('answered 201'),
    )
    expect(await moneyOf(event)).toEqual(booked)
    expect(orphans).toBe(0)
  })
})

async function openOrphans(): Promise<number> {
  const rows = await office.sql(`SELECT FROM orphans WHERE resolved_at IS NULL
    AND NOT EXISTS (SELECT FROM payments WHERE payments.gateway_intent_id = orphans.gateway_intent_id)`)
  return rows.length
}

async function openWindows(
  request: 'confirmIntent' | 'captureIntent' | 'createRefund',
  lose: (log: CommitLog) => Promise<void>,
  isDead = false,
) {
  const log = await openCommitLog(office)
  let died = false
  const name = `owner-${windows++}`
  const owner = await office.open(name, {
    ...afterEffect(request, async () => {
      await lose(log)
      died = isDead
    }),
    // Else a retry would be refused while the owner has the lock in Redis.
    layers: () => ({ redisLock: (_, work) => work() }),
    database: (real) => {
      const recorded = log.parts.database?.(real) ?? real
      const alive = <T>(work: () => Promise<T>) => (died ? Promise.reject(new Error('the owner is dead')) : work())
      return {
        ...recorded,
        query: (statement) => alive(() => recorded.query(statement)),
        transaction: (work) => alive(() => recorded.transaction(work)),
      }
    },
  })
  const other = await office.open(`other-${windows}`)
  onTestFinished(async () => {
    await office.closeReplicas('owner-')
    await office.closeReplicas('other-')
    await log.close()
  })
  return { owner, other, log }
}

async function hold(window: Window, event: SoldEvent, key: string): Promise<string> {
  const [seatId = ''] = event.seatIds
  return bodyOf<{ id: string }>(await counterOf(window).seats(event, [seatId], { key })).id
}

async function moneyOf({ eventId }: SoldEvent) {
  const [row] = await office.sql<{ state: string; order: string; orderId: string }>(
    `SELECT bookings.state::text AS state, orders.state::text AS "order", orders.id AS "orderId"
       FROM bookings JOIN orders ON orders.id = order_id WHERE event_id = $1`,
    [eventId],
  )
  if (!row) return null
  const { orderId, ...states } = row
  return { ...states, charges: (await office.charges(orderId)).length }
}
