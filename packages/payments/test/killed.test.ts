import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { recoverPayment } from '../src/index.ts'
import { bothSidesOf, createMortal } from './crash-points.ts'
import { brief, letLeasesRunOut, letTimePass, openShop, paymentIdOf, type Replica, type Shop } from './shop.ts'

/**
 * Every step of claim, effect, settle: a process is killed just before it and just after it, another one is there, the
 * client asks again with its key, and hears the one true answer. No luck is needed, and no step is left out: each table is
 * compared with what the operation really does.
 */
let shop: Shop
/** The process that is still there. */
let api: Replica

beforeAll(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
})
afterEach(() => shop.closeReplicas('mortal-'))
afterAll(() => shop?.close())

let processes = 0
async function mortalReplica() {
  const mortal = createMortal()
  return { mortal, replica: await shop.replica(`mortal-${++processes}`, mortal.parts) }
}

/** What a client does, and where to look afterwards. */
interface Scenario {
  /** Made by processes that live. Null where the operation itself pays the order first. */
  readonly prepare: () => Promise<{ readonly orderId: string; readonly paymentId: string }>
  readonly operate: (
    replica: Replica,
    prepared: { orderId: string; paymentId: string },
    key: string,
  ) => Promise<unknown>
  /** Each statement, COMMIT and request of it, in order. */
  readonly steps: readonly string[]
  readonly answer: string
  readonly end: End
}

/** What stands in the books and at the gateway when all is over. */
interface End {
  readonly payment: string
  readonly order: string
  /** At the gateway, and as many in our books. */
  readonly charges: number
}

async function newOrder() {
  return { orderId: await api.createOrder(), paymentId: '' }
}

async function onHold() {
  const orderId = await api.createOrder()
  return { orderId, paymentId: paymentIdOf(await api.authorize(orderId)) }
}

/** Somebody claimed the step, and died at once. */
async function leftBehind(step: 'capture' | 'void') {
  const prepared = await onHold()
  const { mortal, replica } = await mortalReplica()
  await mortal.dieAt('after commit 1', () => replica[step](prepared.paymentId))
  await letLeasesRunOut(shop)
  return prepared
}

const paid = { payment: 'succeeded', order: 'paid', charges: 1 }
const givenBack = { payment: 'voided', order: 'pending', charges: 0 }

const scenarios: Record<string, Scenario> = {
  'a charge': {
    prepare: newOrder,
    operate: (replica, { orderId }, key) => replica.pay(orderId, key),
    // Looks up the key; claims; creates, stores and confirms the intent; settles.
    steps: ['statement 1', 'commit 1', 'createIntent 1', 'statement 2', 'confirmIntent 1', 'commit 2'],
    ...{ answer: 'answered 201', end: paid },
  },
  'an authorization': {
    prepare: newOrder,
    operate: (replica, { orderId }, key) => replica.authorize(orderId, key),
    steps: ['statement 1', 'commit 1', 'createIntent 1', 'statement 2', 'confirmIntent 1', 'commit 2'],
    ...{ answer: 'answered 201', end: { payment: 'authorized', order: 'processing', charges: 0 } },
  },
  'a decline': {
    prepare: newOrder,
    operate: (replica, { orderId }, key) => replica.pay(orderId, key, 'pm_card_visa_chargeDeclined'),
    // ... notes the decline and cancels the intent before it settles.
    steps: 'statement 1,commit 1,createIntent 1,statement 2,confirmIntent 1,statement 3,cancelIntent 1,commit 2'.split(
      ',',
    ),
    ...{ answer: 'answered 402', end: { payment: 'declined', order: 'pending', charges: 0 } },
  },
  'a capture': {
    prepare: onHold,
    operate: (replica, { paymentId }, key) => replica.capture(paymentId, key),
    // Looks up the order and the key; claims; captures; settles.
    steps: ['statement 1', 'statement 2', 'commit 1', 'captureIntent 1', 'commit 2'],
    ...{ answer: 'answered 200', end: paid },
  },
  'a void': {
    prepare: onHold,
    operate: (replica, { paymentId }, key) => replica.void(paymentId, key),
    steps: ['statement 1', 'statement 2', 'commit 1', 'cancelIntent 1', 'commit 2'],
    ...{ answer: 'answered 200', end: givenBack },
  },
  'a cancellation of an order': {
    prepare: newOrder,
    operate: (replica, { orderId }, key) => replica.cancel(orderId, key),
    steps: ['statement 1', 'commit 1'],
    ...{ answer: 'answered 200', end: { payment: 'none', order: 'cancelled', charges: 0 } },
  },
}

const table = Object.entries(scenarios).map(([name, scenario]) => ({ name, ...scenario }))

describe.each(table)('$name', ({ prepare, operate, steps, answer, end }) => {
  it('touches the world at exactly these points', async () => {
    const { mortal, replica } = await mortalReplica()
    const prepared = await prepare()
    expect(await mortal.passedBy(() => operate(replica, prepared, randomUUID()))).toEqual(bothSidesOf(...steps))
  })

  it.each(bothSidesOf(...steps))(
    'killed %s: the same key brings the one true answer, and it happened once',
    async (point) => {
      const { mortal, replica } = await mortalReplica()
      const prepared = await prepare()
      const key = randomUUID()
      await mortal.dieAt(point, () => operate(replica, prepared, key))
      await letLeasesRunOut(shop)
      const first = (await operate(api, prepared, key)) as Awaited<ReturnType<Replica['pay']>>
      expect(brief(first)).toBe(answer)
      expect(await operate(api, prepared, key)).toEqual({ ...first, replayed: true })
      expect(await endOf(prepared.orderId)).toEqual(end)
      expect(await recoverPayment(api.deps, prepared.paymentId || undefined)).toBeNull()
    },
  )
})

const recoveries = [
  {
    name: 'the recovery of a capture',
    prepare: () => leftBehind('capture'),
    steps: ['statement 1', 'retrieveIntent 1', 'captureIntent 1', 'commit 1'],
    end: paid,
  },
  {
    name: 'the recovery of a void',
    prepare: () => leftBehind('void'),
    steps: ['statement 1', 'retrieveIntent 1', 'cancelIntent 1', 'commit 1'],
    end: givenBack,
  },
  {
    name: 'the return of a hold that nobody captured',
    prepare: async () => {
      const prepared = await onHold()
      await letTimePass(shop, '5 days')
      return prepared
    },
    steps: ['statement 1', 'retrieveIntent 1', 'cancelIntent 1', 'commit 1'],
    end: givenBack,
  },
]

describe.each(recoveries)('$name', ({ prepare, steps, end }) => {
  it('touches the world at exactly these points', async () => {
    const { mortal, replica } = await mortalReplica()
    const { paymentId } = await prepare()
    expect(await mortal.passedBy(() => recoverPayment(replica.deps, paymentId))).toEqual(bothSidesOf(...steps))
  })

  it.each(bothSidesOf(...steps))('killed %s: another one finishes it, once', async (point) => {
    const { mortal, replica } = await mortalReplica()
    const { orderId, paymentId } = await prepare()
    await mortal.dieAt(point, () => recoverPayment(replica.deps, paymentId))
    await letLeasesRunOut(shop)
    await recoverPayment(api.deps, paymentId)
    expect(await endOf(orderId)).toEqual(end)
    expect(await recoverPayment(api.deps, paymentId)).toBeNull()
  })
})

async function endOf(orderId: string): Promise<End> {
  const rows = await shop.sql<{ order: string; payment: string | null; bookings: number }>(
    `SELECT o.state AS order, max(p.state::text) AS payment, count(t.id)::int AS bookings
       FROM orders o LEFT JOIN payments p ON p.order_id = o.id LEFT JOIN transfers t ON t.payment_id = p.id
      WHERE o.id = $1 GROUP BY o.id`,
    [orderId],
  )
  const [row] = rows
  const charges = await shop.charges(orderId)
  expect(row?.bookings).toBe(charges.length)
  return { order: row?.order ?? 'none', payment: row?.payment ?? 'none', charges: charges.length }
}
