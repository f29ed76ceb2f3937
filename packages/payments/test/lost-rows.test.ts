import { randomUUID } from 'node:crypto'
import type { Orphan } from '@seatbelt/database'
import type { Gateway, GatewayAnswer, GatewayIntent } from '@seatbelt/safety'
import { createLatch } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  applyGatewayEvent,
  cancelMissingPayment,
  countOrphans,
  createPaymentOperations,
  createSubscriptionOperations,
  failMissingRefund,
  listOrphans,
  type OrphanDecision,
  recoverPayment,
  resolveOrphan,
} from '../src/index.ts'
import { hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { atConsole, intentOf } from './gateway-console.ts'
import { hookedTransaction } from './hooked-transaction.ts'
import { afterEffect, type CommitLog, openCommitLog } from './lost-rows.ts'
import { forgetKeys, letRefundsAge, refund, refundsAtGateway } from './refund-support.ts'
import {
  bodyOf,
  brief,
  call,
  letLeasesRunOut,
  letTimePass,
  newOrder,
  openShop,
  paymentIdOf,
  type Replica,
  type ReplicaParts,
  type Shop,
} from './shop.ts'

let shop: Shop
beforeAll(async () => {
  shop = await openShop()
})
afterAll(() => shop?.close())

let replicas = 0

interface Losing {
  readonly log: CommitLog
  /** Loses commits just after the gateway has done the request. Then it lives on with what it learned, or is dead. */
  readonly owner: Replica
  readonly other: Replica
}

/** `isDead`: the owner cannot reach the database any more. */
async function losing(
  request: 'confirmIntent' | 'captureIntent' | 'cancelIntent' | 'createRefund',
  lose: (log: CommitLog) => Promise<void>,
  isDead: boolean,
  parts: Pick<ReplicaParts, 'layers'> = {},
) {
  const name = `owner-${replicas++}`
  const log = await openCommitLog(shop)
  let died = false
  const owner = await shop.replica(name, {
    ...parts,
    ...afterEffect(request, async () => {
      await lose(log)
      died = isDead
    }),
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
  const other = await shop.replica(`other-${replicas}`, parts)
  onTestFinished(async () => {
    await shop.closeReplicas('owner-')
    await shop.closeReplicas('other-')
    await log.close()
  })
  return { log, owner, other } satisfies Losing
}

async function recoverAll(replica: Replica): Promise<void> {
  for (let looks = 0; looks < 6; looks++) {
    await letLeasesRunOut(shop)
    while (await recoverPayment(replica.deps));
    const open = await shop.sql("SELECT 1 FROM payments WHERE state IN ('processing', 'capturing', 'voiding')")
    if (open.length === 0) return
  }
}

async function orderOf(creationKey: string, replica: Replica): Promise<string> {
  const order = newOrder()
  const created = await createPaymentOperations(replica.deps).createOrder(call(creationKey, order), order)
  return bodyOf<{ id: string }>(created).id
}

/** The first commits of an order's payment remain, and all that followed are lost. */
const kept = [
  { what: 'nothing, not even the order', commits: 0 },
  { what: 'the order', commits: 1 },
  { what: 'the claim', commits: 2 },
  { what: 'the stored intent', commits: 3 },
]

const next: Readonly<Record<string, (replica: Replica, orderId: string, key: string) => Promise<unknown>>> = {
  'a retry with the same key': (replica, orderId, key) => replica.pay(orderId, key),
  'a retry with a new key': (replica, orderId) => replica.pay(orderId),
  'a retry with another card': (replica, orderId) => replica.pay(orderId, randomUUID(), 'pm_card_mastercard'),
  'a retry with manual capture': (replica, orderId) => replica.authorize(orderId),
  recovery: (replica) => recoverAll(replica),
}

const owners = [
  { owner: 'dead', isDead: true },
  { owner: 'alive', isDead: false },
]

const cases = kept.flatMap((lost) =>
  owners.flatMap((owner) => Object.keys(next).map((then) => ({ ...lost, ...owner, then }))),
)

describe('a payment that is confirmed when commits are lost', () => {
  it.each(cases)('is charged once: $what remains, the owner is $owner, $then', async ({ commits, isDead, then }) => {
    const lost = await losing('confirmIntent', (log) => log.keep(commits), isDead)
    const [creationKey, key] = [randomUUID(), randomUUID()]
    const first = await orderOf(creationKey, lost.owner)
    await lost.owner.pay(first, key).catch(() => undefined)
    const orderId = commits === 0 ? await orderOf(creationKey, lost.other) : first
    await next[then]?.(lost.other, orderId, key)
    await recoverAll(lost.other)
    // Whatever came of that, the customer tries until the order is paid.
    for (let tries = 0; tries < 3; tries++) {
      await lost.other.pay(orderId)
      await recoverAll(lost.other)
    }
    expect(await shop.charges(orderId)).toHaveLength(1)
    expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
  })

  it('is charged once if its row is lost and the owner enters it anew', async () => {
    const lost = await losing('confirmIntent', (log) => log.keep(1), false)
    const orderId = await orderOf(randomUUID(), lost.owner)
    const key = randomUUID()
    const paid = await lost.owner.pay(orderId, key)
    expect(brief(paid)).toBe('answered 201')
    expect(await paymentsOf(orderId)).toEqual([{ id: paymentIdOf(paid), state: 'succeeded' }])
    expect(await lost.other.pay(orderId, key)).toEqual({ ...paid, replayed: true })
    expect(brief(await lost.other.pay(orderId))).toBe('refused order-already-paid')
  })
})

describe('an owner whose claim was lost and made again', () => {
  it('learns that a retry has settled it: one payment, one charge, and no fault', async () => {
    const orderId = await orderOf(randomUUID(), await shop.replica(`other-${replicas++}`))
    let retry = async (): Promise<void> => undefined
    const lose = async (log: CommitLog) => {
      await log.keep(0)
      await retry()
    }
    // Else the retry would be refused while the owner has the lock in Redis.
    const withoutLock: Pick<ReplicaParts, 'layers'> = { layers: () => ({ redisLock: (_, work) => work() }) }
    const lost = await losing('confirmIntent', lose, false, withoutLock)
    retry = async () => expect(brief(await lost.other.pay(orderId))).toBe('answered 201')
    expect(brief(await lost.owner.pay(orderId))).toBe('unsettled')
    expect(await paymentsOf(orderId)).toMatchObject([{ state: 'succeeded' }])
    expect(await shop.charges(orderId)).toHaveLength(1)
    expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
    expect(lost.owner.faults).toEqual([])
  })
})

describe('a creation key that is used again after it was forgotten', () => {
  it('makes another order with a reference of its own, which is charged once', async () => {
    const api = await shop.replica(`other-${replicas++}`)
    const creationKey = randomUUID()
    const orders: string[] = []
    for (let uses = 1; uses <= 6; uses++) {
      orders.push(await orderOf(creationKey, api))
      await shop.sql('DELETE FROM idempotency_keys WHERE key = $1', [creationKey])
    }
    for (const orderId of orders) expect(brief(await api.pay(orderId))).toBe('answered 201')
    expect(new Set(orders.map((id) => id.slice(14))).size).toBe(6)
    for (const orderId of orders) expect(await shop.charges(orderId)).toHaveLength(1)
    await shop.closeReplicas('other-')
  })
})

describe('without the gateway reference', () => {
  const random = { layers: () => ({ gatewayReference: () => randomUUID() }) }

  it('a payment whose claim is lost is charged twice, so the loss is real', async () => {
    const lost = await losing('confirmIntent', (log) => log.keep(1), true, random)
    const orderId = await orderOf(randomUUID(), lost.owner)
    await lost.owner.pay(orderId).catch(() => undefined)
    expect(brief(await lost.other.pay(orderId))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(2)
  })
})

describe('a capture that is done when commits are lost', () => {
  const steps = [
    { what: 'the order', commits: 1 },
    { what: 'the claim', commits: 2 },
    { what: 'the stored intent', commits: 3 },
    { what: 'the authorization', commits: 4 },
    { what: 'the claim of the capture', commits: 5 },
  ]
  it.each(steps.flatMap((step) => owners.map((owner) => ({ ...step, ...owner }))))(
    'takes the money once: $what remains, the owner is $owner',
    async ({ commits, isDead }) => {
      const lost = await losing('captureIntent', (log) => log.keep(commits), isDead)
      const orderId = await orderOf(randomUUID(), lost.owner)
      const paymentId = paymentIdOf(await lost.owner.authorize(orderId))
      await lost.owner.capture(paymentId).catch(() => undefined)
      for (let tries = 0; tries < 3; tries++) {
        await recoverAll(lost.other)
        await lost.other.authorize(orderId)
        for (const { id } of await paymentsOf(orderId)) await lost.other.capture(id)
      }
      await recoverAll(lost.other)
      expect(await shop.charges(orderId)).toHaveLength(1)
      expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
    },
  )
})

describe('an owner whose claim was lost answers its key for good', () => {
  const kept = [
    { what: 'the order', commits: 1 },
    { what: 'the claim', commits: 2 },
    { what: 'the stored intent', commits: 3 },
    { what: 'the authorization', commits: 4 },
  ]
  it.each(kept.flatMap((left) => (['capture', 'void'] as const).map((step) => ({ ...left, step }))))(
    '$step, $what remains',
    async ({ commits, step }) => {
      const request = step === 'capture' ? 'captureIntent' : 'cancelIntent'
      const lost = await losing(request, (log) => log.keep(commits), false)
      const orderId = await orderOf(randomUUID(), lost.owner)
      const paymentId = paymentIdOf(await lost.owner.authorize(orderId))
      const key = randomUUID()
      const first = await lost.owner[step](paymentId, key)
      expect(first.kind).toBe('answered')
      expect(await lost.other[step](paymentId, key)).toEqual({ ...first, replayed: true })
      expect(await shop.charges(orderId)).toHaveLength(step === 'capture' ? 1 : 0)
    },
  )

  it('a void that finds the amount captured by another system', async () => {
    const lost = await losing('cancelIntent', (log) => log.keep(4), false)
    const orderId = await orderOf(randomUUID(), lost.owner)
    const paymentId = paymentIdOf(await lost.owner.authorize(orderId))
    await atConsole(shop, await intentOf(shop, paymentId), 'capture')
    const key = randomUUID()
    const first = await lost.owner.void(paymentId, key)
    expect(brief(first)).toBe('answered 409')
    expect(await lost.other.void(paymentId, key)).toEqual({ ...first, replayed: true })
    expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
  })

  it('a try of an invoice', async () => {
    const before = { commits: 0 }
    const lost = await losing('confirmIntent', (log) => log.keep(before.commits), false)
    const billing = openBillingShop(shop)
    const subscriptionId = await billing.subscribe(lost.other, { card: 'pm_card_chargeCustomerFail' })
    await lead(lost.other, hoursFromNow(1))
    const [invoice] = await billing.invoicesOf(subscriptionId)
    await shop.sql('UPDATE subscriptions SET payment_method = $2 WHERE id = $1', [
      subscriptionId,
      await billing.attach(subscriptionId, 'pm_card_visa'),
    ])
    // A commit of the owner's own, so that its log begins with these rows.
    await orderOf(randomUUID(), lost.owner)
    before.commits = lost.log.count()
    const key = randomUUID()
    const pay = ({ deps }: Replica) =>
      createSubscriptionOperations(deps).payInvoice(call(key, { invoice: invoice?.id }), invoice?.id ?? '')
    const first = await pay(lost.owner)
    expect(brief(first)).toBe('answered 201')
    expect(await pay(lost.other)).toEqual({ ...first, replayed: true })
    expect(await billing.chargesOf(subscriptionId)).toEqual([1])
    expect(await billing.invoicesOf(subscriptionId)).toMatchObject([{ state: 'paid' }])
  })
})

describe('a refund that is made when commits are lost', () => {
  it.each(['the same key', 'a new key'].flatMap((then) => owners.map((owner) => ({ ...owner, then }))))(
    'is made once: its claim is lost, the owner is $owner, $then',
    async ({ isDead, then }) => {
      let paidCommits = 0
      const lost = await losing('createRefund', (log) => log.keep(paidCommits), isDead)
      const orderId = await orderOf(randomUUID(), lost.owner)
      const paymentId = paymentIdOf(await lost.owner.pay(orderId))
      paidCommits = lost.log.count()
      const key = randomUUID()
      await refund(lost.owner, paymentId, 1_000, key).catch(() => undefined)
      const again = await refund(lost.other, paymentId, 1_000, then === 'the same key' ? key : randomUUID())
      expect(brief(again)).toBe('answered 201')
      // An owner that lives has entered and answered its refund, so a new key asks for a second one.
      const expected = !isDead && then === 'a new key' ? 2 : 1
      expect(await refundsAtGateway(shop, orderId)).toHaveLength(expected)
      expect(await refundedMinor(paymentId)).toBe(expected * 1_000)
    },
  )

  it('is not followed by a refund of another amount, which waits for an operator', async () => {
    let paidCommits = 0
    const lost = await losing('createRefund', (log) => log.keep(paidCommits), true)
    const orderId = await orderOf(randomUUID(), lost.owner)
    const paymentId = paymentIdOf(await lost.owner.pay(orderId))
    paidCommits = lost.log.count()
    await refund(lost.owner, paymentId, 1_000).catch(() => undefined)
    expect(brief(await refund(lost.other, paymentId, 500))).toBe('unsettled')
    expect(brief(await refund(lost.other, paymentId, 1_000))).toBe('refused order-blocked')
    expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
    expect(await openOrphans(orderId)).toMatchObject([{ kind: 'refund' }])
  })

  describe('whose id the gateway did not show', () => {
    /** A refund of 10.00 whose commits are lost, and one of 5.00 that the gateway refuses under the same key. */
    async function blocked() {
      let paidCommits = 0
      const lost = await losing('createRefund', (log) => log.keep(paidCommits), true)
      const orderId = await orderOf(randomUUID(), lost.owner)
      const paymentId = paymentIdOf(await lost.owner.pay(orderId))
      paidCommits = lost.log.count()
      await refund(lost.owner, paymentId, 1_000).catch(() => undefined)
      expect(brief(await refund(lost.other, paymentId, 500))).toBe('unsettled')
      let gateway: Gateway | undefined
      await shop.replica(`other-asks-${replicas++}`, { gateway: (real) => (gateway = real) })
      if (!gateway) throw new Error('a replica has no gateway')
      const [orphan] = (await listOrphans(lost.other.deps)).filter((listed) => listed.orderId === orderId)
      expect(orphan).toMatchObject({ kind: 'refund', gatewayRefundId: null })
      const [made] = await refundsAtGateway(shop, orderId)
      const parts = { payments: lost.other.deps, gateway }
      const resolve = (resolution: 'adopt' | 'refund' | 'dismiss', gatewayId: string | null) =>
        resolveOrphan(parts, decisionOf(orphan, resolution, gatewayId))
      return { ...lost, orderId, paymentId, resolve, gatewayRefundId: made?.refundId ?? '' }
    }
    const statesOf = (paymentId: string) =>
      shop.sql(
        'SELECT amount_minor AS amount, state, failure_code AS code FROM refunds WHERE payment_id = $1 ORDER BY id',
        [paymentId],
      )

    it('is entered once a person has found it at the gateway, and fails the other', async () => {
      const { other, orderId, paymentId, resolve, gatewayRefundId } = await blocked()
      expect(await resolve('refund', gatewayRefundId)).toMatchObject({ kind: 'left' })
      expect(await resolve('adopt', null)).toMatchObject({ why: expect.stringContaining('--gateway-id') })
      expect(await resolve('adopt', 're_unknown')).toEqual({ kind: 'left', why: 'the gateway does not show it' })
      expect(await openOrphans(orderId)).toHaveLength(1)
      expect(await resolve('adopt', gatewayRefundId)).toMatchObject({ kind: 'resolved' })
      expect(await openOrphans(orderId)).toEqual([])
      expect(await statesOf(paymentId)).toEqual([
        { amount: 500, state: 'failed', code: 'key-reused' },
        { amount: 1_000, state: 'succeeded', code: null },
      ])
      expect(await refundedMinor(paymentId)).toBe(1_000)
      expect(brief(await refund(other, paymentId, 500))).toBe('answered 201')
      expect(await refundsAtGateway(shop, orderId)).toHaveLength(2)
    })

    it('is dismissed, which fails the other and makes room for its money', async () => {
      const { orderId, paymentId, resolve } = await blocked()
      expect(await resolve('dismiss', null)).toMatchObject({ kind: 'resolved' })
      expect(await openOrphans(orderId)).toEqual([])
      expect(await statesOf(paymentId)).toEqual([{ amount: 500, state: 'failed', code: 'key-reused' }])
      const [row] = await shop.sql('SELECT refund_pending_minor AS pending FROM payments WHERE id = $1', [paymentId])
      expect(row).toEqual({ pending: 0 })
    })
  })
})

describe('an order that is made again with other content under its creation key', () => {
  it('is not charged, and waits for an operator', async () => {
    const lost = await losing('confirmIntent', (log) => log.keep(0), true)
    const creationKey = randomUUID()
    await lost.owner.pay(await orderOf(creationKey, lost.owner)).catch(() => undefined)
    const order = newOrder({ amountMinor: 7_700 })
    const created = await createPaymentOperations(lost.other.deps).createOrder(call(creationKey, order), order)
    const { id: orderId } = bodyOf<{ id: string }>(created)
    expect(brief(await lost.other.pay(orderId))).toBe('unsettled')
    await recoverAll(lost.other)
    expect(await shop.charges(orderId)).toHaveLength(1)
    expect(await paymentsOf(orderId)).toMatchObject([{ state: 'needs_review' }])
    expect(await openOrphans(orderId)).toMatchObject([{ kind: 'payment', why: expect.stringContaining('key') }])
  })
})

async function booksOf(orderId: string) {
  const [row] = await shop.sql<{ state: string; transfers: number }>(
    `SELECT state, (SELECT count(*)::int FROM transfers JOIN payments ON payments.id = payment_id
                     WHERE order_id = orders.id AND kind = 'charge') AS transfers
       FROM orders WHERE id = $1`,
    [orderId],
  )
  return row
}

function paymentsOf(orderId: string) {
  return shop.sql<{ id: string; state: string }>('SELECT id, state FROM payments WHERE order_id = $1', [orderId])
}

async function refundedMinor(paymentId: string) {
  const rows = await shop.sql<{ refunded: number }>('SELECT refunded_minor AS refunded FROM payments WHERE id = $1', [
    paymentId,
  ])
  return rows[0]?.refunded
}

function openOrphans(orderId: string) {
  return shop.sql('SELECT kind, why FROM orphans WHERE order_id = $1 AND resolved_at IS NULL', [orderId])
}

/** By the name that the gateway has for the order: its id without the time. */
async function orphansOf({ deps }: Replica, orderId: string) {
  return (await listOrphans(deps)).filter(({ orderReference }) => orderReference?.slice(14) === orderId.slice(14))
}

/** The gateway, as the operator's command asks it. */
let port: Gateway | undefined

async function capturedOf(orderId: string): Promise<readonly { readonly intentId: string }[]> {
  const response = await fetch(`${shop.gatewayUrl}/_ledger/orders/${orderId}`)
  return ((await response.json()) as { captured: { intentId: string }[] }).captured
}

async function openPort(): Promise<void> {
  if (port) return
  await shop.replica('operator', {
    gateway: (real) => {
      port = real
      return real
    },
  })
}

/** The gateway tells of the only intent of this order that took money. */
async function tell(replica: Replica, orderId: string, changed: Partial<GatewayIntent> = {}) {
  const [captured] = await capturedOf(orderId)
  await openPort()
  const shown: GatewayAnswer | undefined = await port?.retrieveIntent(captured?.intentId ?? '')
  if (shown?.kind !== 'intent') throw new Error('the gateway does not show it')
  const intent = { ...shown.intent, ...changed }
  const { accountId = '', orderId: order = '', paymentId = '' } = intent.metadata
  const named = { accountId, orderId: order, paymentId, refundId: null }
  const subject = { kind: 'intent', intentId: intent.id, named, shown: intent } as const
  const event = { id: `evt_${randomUUID()}`, type: 'payment_intent.succeeded', requestId: null, subject }
  return applyGatewayEvent(replica.deps, event)
}
async function lose(commits: number, step: 'pay' | 'authorize' = 'pay') {
  const lost = await losing('confirmIntent', (log) => log.keep(commits), true)
  const creationKey = randomUUID()
  const orderId = await orderOf(creationKey, lost.owner)
  await lost.owner[step](orderId).catch(() => undefined)
  return { ...lost, creationKey, orderId }
}

function decisionOf(
  orphan: Orphan | undefined,
  resolution: OrphanDecision['resolution'],
  gatewayId: string | null = null,
): OrphanDecision {
  const operator = { name: 'ada', reason: 'looked at the gateway' }
  return { id: orphan?.id ?? '', resolution, gatewayId, operator }
}

/** `around`: what the test does around the command's requests to the gateway. */
function resolveBy({ deps }: Replica, decision: OrphanDecision, around: Partial<Gateway> = {}) {
  return resolveOrphan({ payments: deps, gateway: { ...(port as Gateway), ...around } }, decision)
}

describe('an event about a payment that our books do not have', () => {
  it('enters it as the payment of its order', async () => {
    const { other, orderId } = await lose(1)
    expect(await tell(other, orderId)).toBe('applied')
    expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
    expect(brief(await other.pay(orderId))).toBe('refused order-already-paid')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('keeps it as an orphan if its order is lost, until the order is made again and its payment meets it', async () => {
    const { other, orderId, creationKey } = await lose(0)
    expect(await tell(other, orderId)).toBe('unknown')
    expect(await tell(other, orderId)).toBe('unknown')
    expect(await listOrphans(other.deps, orderId)).toMatchObject([
      { kind: 'payment', orderId: null, amountMinor: 4_200 },
    ])
    expect(await countOrphans(other.deps, orderId)).toBe(1)
    expect(await countOrphans(other.deps, await other.createOrder())).toBe(0)
    expect(other.faults.map(String)).toContainEqual(expect.stringContaining('orphan'))
    const again = await orderOf(creationKey, other)
    expect(brief(await other.pay(again))).toBe('answered 201')
    expect(await shop.charges(again)).toHaveLength(1)
    expect(await orphansOf(other, orderId)).toEqual([])
  })

  it.each([
    ['adopt', 'paid', 1],
    ['refund', 'pending', 1],
    ['dismiss', 'pending', 1],
  ] as const)(
    'blocks its order once the gateway has forgotten its key, until a person decides: %s',
    async (resolution, state, charges) => {
      const { other, orderId, creationKey } = await lose(0)
      await tell(other, orderId)
      await shop.sql("UPDATE orphans SET key_known_until = now() - interval '1 hour'")
      const again = await orderOf(creationKey, other)
      expect(brief(await other.pay(again))).toBe('refused order-blocked')
      expect(brief(await other.cancel(again))).toBe('refused order-blocked')

      const [orphan] = await orphansOf(other, orderId)
      const before = await countOrphans(other.deps)
      const decision = decisionOf(orphan, resolution)
      const parts = { payments: other.deps, gateway: port as Gateway }
      expect(await resolveOrphan(parts, decision)).toMatchObject({ kind: 'resolved' })
      expect(await resolveOrphan(parts, decision)).toMatchObject({ kind: 'left', why: expect.stringContaining('ada') })
      expect(await countOrphans(other.deps)).toBe(before - 1)
      expect(await booksOf(again)).toMatchObject({ state })
      expect(await shop.charges(again)).toHaveLength(charges)
      expect(await refundsAtGateway(shop, again)).toHaveLength(resolution === 'refund' ? 1 : 0)
      const [row] = await shop.sql('SELECT resolved_by, resolution_reason FROM orphans WHERE id = $1', [decision.id])
      expect(row).toEqual({ resolved_by: 'ada', resolution_reason: 'looked at the gateway' })
    },
  )

  describe('and whose claim remains, older than the gateway remembers a key', () => {
    async function forget(step: 'pay' | 'authorize' = 'pay') {
      const lost = await lose(2, step)
      await letTimePass(shop, '23 hours 30 minutes')
      await shop.sql("UPDATE payments SET step_started_at = step_started_at - interval '1 hour' WHERE order_id = $1", [
        lost.orderId,
      ])
      const [payment] = await paymentsOf(lost.orderId)
      await recoverPayment(lost.other.deps, payment?.id)
      expect(await paymentsOf(lost.orderId)).toMatchObject([{ state: 'needs_review' }])
      const cancel = (answers: Partial<Gateway> = {}) => {
        const gateway = { ...(port as Gateway), ...answers }
        return cancelMissingPayment({ payments: lost.other.deps, gateway, command: '--cancel' }, payment?.id ?? '')
      }
      await openPort()
      return { ...lost, cancel }
    }

    it('stores the intent and settles the payment', async () => {
      const { other, orderId } = await forget()
      expect(await tell(other, orderId)).toBe('applied')
      expect(await tell(other, orderId)).toBe('noted')
      expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
      expect(brief(await other.pay(orderId))).toBe('refused order-already-paid')
      expect(await shop.charges(orderId)).toHaveLength(1)
    })

    it('keeps another amount under its name as an orphan', async () => {
      const { other, orderId } = await forget()
      expect(await tell(other, orderId, { amountMinor: 4_000, receivedMinor: 4_000 })).toBe('noted')
      expect(await openOrphans(orderId)).toMatchObject([{ kind: 'payment', why: expect.stringContaining('never') }])
      expect(await paymentsOf(orderId)).toMatchObject([{ state: 'needs_review' }])
    })

    it('is not cancelled by an operator if a charge of the gateway has its name; a person can adopt it', async () => {
      const { other, orderId, cancel } = await forget()
      expect(await cancel()).toMatchObject({ kind: 'not-looked', why: expect.stringMatching(/ch_.*orphans .*--adopt/) })
      const [orphan] = await orphansOf(other, orderId)
      expect(await resolveBy(other, decisionOf(orphan, 'adopt'))).toMatchObject({ kind: 'resolved' })
      expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
      expect(await shop.charges(orderId)).toHaveLength(1)
    })

    /** The operator's look makes an orphan of its charge. */
    async function found(step: 'pay' | 'authorize' = 'pay') {
      const lost = await forget(step)
      expect(await lost.cancel()).toMatchObject({ kind: 'not-looked' })
      const [orphan] = await orphansOf(lost.other, lost.orderId)
      return { ...lost, orphan, intentId: orphan?.gatewayIntentId ?? '' }
    }

    it.each(['refund', 'dismiss'] as const)(
      'is cancelled with its orphan once all was refunded at the console: %s',
      async (resolution) => {
        const { other, orderId, orphan, intentId } = await found()
        await atConsole(shop, intentId, 'refund')
        const adopted = await resolveBy(other, decisionOf(orphan, 'adopt'))
        expect(adopted).toMatchObject({ kind: 'left', why: expect.stringContaining('--refund') })
        expect(await resolveBy(other, decisionOf(orphan, resolution))).toMatchObject({ kind: 'resolved' })
        expect(await paymentsOf(orderId)).toMatchObject([{ state: 'cancelled' }])
        expect(await openOrphans(orderId)).toEqual([])
        expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
        expect(brief(await other.pay(orderId))).toBe('answered 201')
        expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
      },
    )

    it('is paid with the part that was captured at the console, once a person adopts it', async () => {
      const { other, orderId, orphan, intentId } = await found('authorize')
      await atConsole(shop, intentId, 'capture', 3_000)
      expect(await resolveBy(other, decisionOf(orphan, 'adopt'))).toMatchObject({ kind: 'resolved' })
      const rows = await shop.sql('SELECT state, captured_minor AS captured FROM payments WHERE order_id = $1', [
        orderId,
      ])
      expect(rows).toEqual([{ state: 'succeeded', captured: 3_000 }])
      expect(await booksOf(orderId)).toEqual({ state: 'paid', transfers: 1 })
      expect(await openOrphans(orderId)).toEqual([])
    })

    it('is not taken for refunded because the gateway lists what a partial capture released', async () => {
      const { other, orderId, orphan, intentId } = await found('authorize')
      await atConsole(shop, intentId, 'capture', 1_000)
      // The simulator does not list it, as Stripe does.
      const listRefundsOf: Gateway['listRefundsOf'] = async (id) => {
        const answer = await (port as Gateway).listRefundsOf(id)
        if (answer.kind !== 'list') return answer
        const names = { id: 're_release', intentId: id, chargeId: null, failureReason: null, metadata: {} }
        const release = { ...names, status: 'succeeded', amountMinor: 3_200, currency: 'EUR' } as const
        return { ...answer, items: [{ ...release, createdAt: new Date() }, ...answer.items] }
      }
      const resolved = await resolveBy(other, decisionOf(orphan, 'refund'), { listRefundsOf })
      expect(resolved).toMatchObject({ kind: 'resolved', detail: 'refunded' })
      expect(await refundsAtGateway(shop, orderId)).toMatchObject([{ amountMinor: 1_000 }])
    })

    it('is not paid by its event any more once its money is being returned', async () => {
      const { other, orderId, orphan } = await found()
      const returned = await resolveBy(other, decisionOf(orphan, 'refund'), {
        createRefund: async (...asked) => {
          expect(await tell(other, orderId)).toBe('noted')
          return (port as Gateway).createRefund(...asked)
        },
      })
      expect(returned).toMatchObject({ kind: 'resolved', detail: 'refunded' })
      expect(await paymentsOf(orderId)).toMatchObject([{ state: 'cancelled' }])
      expect(await booksOf(orderId)).toEqual({ state: 'pending', transfers: 0 })
      expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
    })

    it.each(['refund', 'dismiss'] as const)('keeps its money while an owner looks at it: %s', async (resolution) => {
      const { other, orderId, orphan } = await found()
      await shop.sql(
        `UPDATE payments SET leased_until = now() + interval '1 hour', owner = gen_random_uuid() WHERE order_id = $1`,
        [orderId],
      )
      expect(await resolveBy(other, decisionOf(orphan, resolution))).toMatchObject({ kind: 'left' })
      expect(await refundsAtGateway(shop, orderId)).toEqual([])
      expect(await paymentsOf(orderId)).toMatchObject([{ state: 'needs_review' }])
    })

    it('is not cancelled if the charges cannot be read', async () => {
      const { orderId, cancel } = await forget()
      const away = { kind: 'rejected', status: 400, errorCode: 'x', about: 'request', message: null, requestId: null }
      const unread = await cancel({ listCharges: async () => away as never })
      expect(unread).toMatchObject({ kind: 'not-looked', why: expect.stringContaining('charges could not be read') })
      expect(await paymentsOf(orderId)).toMatchObject([{ state: 'needs_review' }])
    })

    it('becomes an orphan if it was cancelled before, and the order is not charged again', async () => {
      const { other, orderId, cancel } = await forget()
      const empty = { kind: 'list', items: [], hasMore: false, requestId: null } as const
      expect(await cancel({ listCharges: async () => empty })).toMatchObject({ kind: 'ended', state: 'cancelled' })
      expect(await tell(other, orderId)).toBe('noted')
      expect(other.faults.map(String)).toContainEqual(expect.stringContaining('is cancelled'))
      expect(await openOrphans(orderId)).toMatchObject([{ kind: 'payment' }])
      expect(brief(await other.pay(orderId))).toBe('refused order-blocked')
      expect(await shop.charges(orderId)).toHaveLength(1)
    })
  })
})

/** The order is lost with its payment, and the gateway's event made an orphan. */
async function orphaned() {
  const lost = await lose(0)
  expect(await tell(lost.other, lost.orderId)).toBe('unknown')
  const [orphan] = await orphansOf(lost.other, lost.orderId)
  return { ...lost, orphan }
}

describe('an orphan that a person has resolved', () => {
  it.each([
    ['refund', 2, 1],
    ['dismiss', 2, 0],
  ] as const)('pays nothing any more: %s', async (resolution, charges, refunds) => {
    const { other, orphan, orderId, creationKey } = await orphaned()
    expect(await resolveBy(other, decisionOf(orphan, resolution))).toMatchObject({ kind: 'resolved' })
    const again = await orderOf(creationKey, other)
    // Late news of the same money.
    expect(await tell(other, orderId)).toBe('unknown')
    expect(await booksOf(again)).toEqual({ state: 'pending', transfers: 0 })
    expect(await orphansOf(other, orderId)).toEqual([])
    expect(other.faults.filter((fault) => String(fault).includes('orphan'))).toHaveLength(1)

    expect(brief(await other.pay(again))).toBe('answered 201')
    expect(await booksOf(again)).toEqual({ state: 'paid', transfers: 1 })
    expect(await shop.charges(again)).toHaveLength(charges)
    expect(await refundsAtGateway(shop, again)).toHaveLength(refunds)
  })

  it('is not entered by an owner that lives and settles late', async () => {
    let orderId = ''
    const lose = async (log: CommitLog) => {
      const [payment] = await shop.sql<{ key: string }>('SELECT gateway_key AS key FROM payments WHERE order_id = $1', [
        orderId,
      ])
      await log.keep(1)
      await shop.sql(
        `INSERT INTO orphans (id, kind, order_id, gateway_key, seen, why, found_by, resolved_at, resolution, resolved_by,
                              resolution_reason)
         VALUES ($1, 'payment', $2, $3, 'succeeded', 'x', 'x', now(), 'refunded', 'ada', 'x')`,
        [randomUUID(), orderId, payment?.key],
      )
    }
    const lost = await losing('confirmIntent', lose, false)
    orderId = await orderOf(randomUUID(), lost.owner)
    expect(brief(await lost.owner.pay(orderId))).toBe('unsettled')
    expect(await booksOf(orderId)).toEqual({ state: 'pending', transfers: 0 })
  })
})

describe('the money of an orphan that a person returns', () => {
  it('is kept if a payment of our books has it by now', async () => {
    const { other, orphan, creationKey } = await orphaned()
    const again = await orderOf(creationKey, other)
    expect(brief(await other.pay(again))).toBe('answered 201')
    expect(await resolveBy(other, decisionOf(orphan, 'refund'))).toMatchObject({ kind: 'left' })
    expect(await refundsAtGateway(shop, again)).toEqual([])
    expect(await booksOf(again)).toEqual({ state: 'paid', transfers: 1 })
  })

  it('is kept if a payment meets it after the command has looked at the gateway', async () => {
    const { other, orphan, creationKey } = await orphaned()
    const again = await orderOf(creationKey, other)
    const resolved = await resolveBy(other, decisionOf(orphan, 'refund'), {
      retrieveIntent: async (id) => {
        const answer = await (port as Gateway).retrieveIntent(id)
        expect(brief(await other.pay(again))).toBe('answered 201')
        return answer
      },
    })
    expect(resolved).toMatchObject({ kind: 'left' })
    expect(await refundsAtGateway(shop, again)).toEqual([])
  })

  it.each(['refund', 'dismiss'] as const)('is kept while a payment is about to meet it: %s', async (resolution) => {
    const { other, orphan, creationKey } = await orphaned()
    const again = await orderOf(creationKey, other)
    const [creating, released] = [createLatch('creating'), createLatch('released')]
    const slow = await shop.replica(`other-${replicas++}`, {
      gateway: (real) => ({
        ...real,
        createIntent: async (...asked) => {
          creating.open()
          await released.wait()
          return real.createIntent(...asked)
        },
      }),
    })
    const paying = slow.pay(again)
    await creating.wait()
    expect(await resolveBy(other, decisionOf(orphan, resolution))).toMatchObject({ kind: 'left' })
    released.open()
    expect(brief(await paying)).toBe('answered 201')
    expect(await refundsAtGateway(shop, again)).toEqual([])
    expect(await booksOf(again)).toEqual({ state: 'paid', transfers: 1 })
  })

  it('is kept if its order is made again and paid while the command claims the money', async () => {
    const { other, orphan, creationKey } = await orphaned()
    let again = ''
    const claiming = await shop.replica(`other-${replicas++}`, {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text) => {
            if (again !== '' || !text.includes('is_being_returned')) return
            again = await orderOf(creationKey, other)
            expect(brief(await other.pay(again))).toBe('answered 201')
          },
        }),
      }),
    })
    expect(await resolveBy(claiming, decisionOf(orphan, 'refund'))).toMatchObject({ kind: 'left' })
    expect(await refundsAtGateway(shop, again)).toEqual([])
    expect(await booksOf(again)).toEqual({ state: 'paid', transfers: 1 })
  })

  it('blocks its order if the command dies after the refund, and the next command goes on', async () => {
    const { other, orphan, creationKey } = await orphaned()
    const dying = resolveBy(other, decisionOf(orphan, 'refund'), {
      createRefund: async (...asked) => {
        await (port as Gateway).createRefund(...asked)
        throw new Error('the command died')
      },
    })
    await expect(dying).rejects.toThrow('died')
    const again = await orderOf(creationKey, other)
    expect(brief(await other.pay(again))).toBe('refused order-blocked')
    expect(await resolveBy(other, decisionOf(orphan, 'adopt'))).toMatchObject({ kind: 'left' })
    // Also after the gateway has forgotten the key of the refund.
    await forgetKeys(shop)
    expect(await resolveBy(other, decisionOf(orphan, 'refund'))).toMatchObject({ kind: 'resolved', detail: 'refunded' })
    expect(await refundsAtGateway(shop, again)).toHaveLength(1)
    expect(brief(await other.pay(again))).toBe('answered 201')
    expect(await shop.charges(again)).toHaveLength(2)
  })

  it('is not entered once the gateway shows that it was refunded there', async () => {
    const { other, orphan, creationKey } = await orphaned()
    await orderOf(creationKey, other)
    const metadata = { refundId: '', orderId: '', accountId: '' }
    const asked = { intentId: orphan?.gatewayIntentId ?? '', amountMinor: 4_200, metadata }
    await (port as Gateway).createRefund(asked, randomUUID())
    expect(await resolveBy(other, decisionOf(orphan, 'adopt'))).toMatchObject({ kind: 'left' })
  })

  it('is called cancelled where its intent took none', async () => {
    const { other, orphan } = await orphaned()
    const cancelled = { status: 'canceled', receivedMinor: 0 } as const
    const resolved = await resolveBy(other, decisionOf(orphan, 'refund'), {
      retrieveIntent: async (id) => {
        const answer = await (port as Gateway).retrieveIntent(id)
        return answer.kind === 'intent' ? { ...answer, intent: { ...answer.intent, ...cancelled } } : answer
      },
    })
    expect(resolved).toMatchObject({ kind: 'resolved', detail: expect.stringContaining('cancelled') })
    const [row] = await shop.sql('SELECT resolution FROM orphans WHERE id = $1', [orphan?.id])
    expect(row).toEqual({ resolution: 'cancelled' })
  })
})

describe('the id at the gateway that a person gives for an orphan', () => {
  /** Of an order that was made again with another amount: the gateway refused to create its intent. */
  async function refusedCreation() {
    const lost = await losing('confirmIntent', (log) => log.keep(0), true)
    const creationKey = randomUUID()
    const first = await orderOf(creationKey, lost.owner)
    await lost.owner.pay(first).catch(() => undefined)
    const order = newOrder({ amountMinor: 7_700 })
    const created = await createPaymentOperations(lost.other.deps).createOrder(call(creationKey, order), order)
    const { id: orderId } = bodyOf<{ id: string }>(created)
    expect(brief(await lost.other.pay(orderId))).toBe('unsettled')
    const [orphan] = await orphansOf(lost.other, orderId)
    return { ...lost, orderId, orphan }
  }

  it.each(['refund', 'adopt'] as const)('must be of an intent with its metadata: %s', async (resolution) => {
    const { other, orderId, orphan } = await refusedCreation()
    await openPort()
    const stranger = await other.createOrder()
    await other.pay(stranger)
    const [charge] = await capturedOf(stranger)
    const wrong = decisionOf(orphan, resolution, charge?.intentId)
    expect(await resolveBy(other, wrong)).toMatchObject({ kind: 'left', why: expect.stringContaining('metadata') })
    expect(await refundsAtGateway(shop, stranger)).toEqual([])

    const [lost] = await capturedOf(orderId)
    const right = await resolveBy(other, decisionOf(orphan, 'refund', lost?.intentId))
    expect(right).toMatchObject({ kind: 'resolved', detail: 'refunded' })
    expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
    expect(await paymentsOf(orderId)).toMatchObject([{ state: 'cancelled' }])
    expect(brief(await other.pay(orderId))).toBe('answered 201')
  })
})

describe('an orphan whose payment is not the first of its order', () => {
  it('is adopted under the name that the gateway has for it', async () => {
    const lost = await losing('createRefund', (log) => log.keep(0), true)
    const creationKey = randomUUID()
    const first = await orderOf(creationKey, lost.owner)
    await lost.owner.pay(first, randomUUID(), 'pm_card_chargeDeclined')
    const paymentId = paymentIdOf(await lost.owner.pay(first))
    await refund(lost.owner, paymentId, 100).catch(() => undefined)
    expect(await tell(lost.other, first)).toBe('unknown')
    const [orphan] = await orphansOf(lost.other, first)
    const again = await orderOf(creationKey, lost.other)
    expect(await resolveBy(lost.other, decisionOf(orphan, 'adopt'))).toMatchObject({ kind: 'resolved' })
    const rows = await shop.sql('SELECT gateway_key FROM payments WHERE order_id = $1', [again])
    expect(rows).toEqual([{ gateway_key: orphan?.gatewayKey }])
    expect(await booksOf(again)).toEqual({ state: 'paid', transfers: 1 })
  })
})

describe('the second lost refund of a payment', () => {
  /** Two refunds are lost. The first was found as an orphan and dismissed, and the second is found as well. */
  async function secondOrphan() {
    const lost = await losing('createRefund', async () => undefined, false)
    const orderId = await orderOf(randomUUID(), lost.owner)
    const paymentId = paymentIdOf(await lost.owner.pay(orderId))
    const paidCommits = lost.log.count()
    for (const amountMinor of [300, 200]) await refund(lost.owner, paymentId, amountMinor)
    await lost.log.keep(paidCommits)
    expect(brief(await refund(lost.other, paymentId, 500))).toBe('unsettled')
    await openPort()
    const [first] = await listOrphans(lost.other.deps, orderId)
    expect(await resolveBy(lost.other, decisionOf(first, 'dismiss'))).toMatchObject({ kind: 'resolved' })
    expect(brief(await refund(lost.other, paymentId, 600))).toBe('unsettled')
    const orphans = await listOrphans(lost.other.deps, orderId)
    expect(orphans).toMatchObject([{ kind: 'refund', gatewayRefundId: null, amountMinor: 600 }])
    const [open] = await shop.sql<{ id: string }>(
      "SELECT id FROM refunds WHERE payment_id = $1 AND state = 'needs_review'",
      [paymentId],
    )
    return { ...lost, orderId, paymentId, orphan: orphans[0], refundId: open?.id ?? '' }
  }

  it('is an orphan of its own, which is adopted by its id', async () => {
    const { other, orderId, paymentId, orphan, refundId } = await secondOrphan()
    const [first, second] = (await refundsAtGateway(shop, orderId)).toSorted((a, b) => b.amountMinor - a.amountMinor)
    const wrong = await resolveBy(other, decisionOf(orphan, 'adopt', first?.refundId))
    expect(wrong).toMatchObject({ kind: 'left', why: expect.stringContaining('metadata') })
    const right = await resolveBy(other, decisionOf(orphan, 'adopt', second?.refundId))
    expect(right).toMatchObject({ kind: 'resolved' })
    expect(await refundedMinor(paymentId)).toBe(200)
    expect(await shop.sql('SELECT state FROM refunds WHERE id = $1', [refundId])).toMatchObject([{ state: 'failed' }])
  })

  it('lets a person fail the refund that met it', async () => {
    const { other, paymentId, orderId, refundId } = await secondOrphan()
    await letRefundsAge(shop, { orderId, paymentId }, '25 hours')
    const parts = { payments: other.deps, gateway: port as Gateway, command: 'review --fail' }
    expect(await failMissingRefund(parts, refundId)).toEqual({ kind: 'ended', state: 'failed', code: 'key-reused' })
    expect(await refundsAtGateway(shop, orderId)).toHaveLength(2)
  })
})

describe('a period that is being charged when commits are lost', () => {
  const left = [
    { what: 'the subscription', commits: 1 },
    { what: 'the invoice', commits: 3 },
    { what: 'the claim', commits: 5 },
    { what: 'the stored intent', commits: 6 },
  ]
  it.each(left.flatMap((step) => owners.map((owner) => ({ ...step, ...owner }))))(
    'is charged once by the next leaders: $what remains, the owner is $owner',
    async ({ commits, isDead }) => {
      const before = { commits: 0 }
      const lost = await losing('confirmIntent', (log) => log.keep(before.commits + commits), isDead)
      const billing = openBillingShop(shop)
      // The first commit registers the customer.
      const start = lost.log.count() + 1
      const subscriptionId = await billing.subscribe(lost.owner)
      expect(lost.log.count()).toBe(start + 1)
      before.commits = start
      await lead(lost.owner, hoursFromNow(1)).catch(() => undefined)
      for (const hours of [2, 3, 4]) {
        await recoverAll(lost.other)
        await lead(lost.other, hoursFromNow(hours))
      }
      await recoverAll(lost.other)
      expect(await billing.chargesOf(subscriptionId)).toEqual([1])
      expect(await billing.invoicesOf(subscriptionId)).toMatchObject([{ state: 'paid' }])
    },
  )
})
