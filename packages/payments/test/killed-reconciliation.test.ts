import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ReconcileDeps, reconcile, recoverRefund } from '../src/index.ts'
import { bothSidesOf, createMortal } from './crash-points.ts'
import {
  keptIn,
  letRunLeaseRunOut,
  openReconciler,
  openStranger,
  type Reconciler,
  repairsIn,
  type Stranger,
  stateIn,
} from './reconcile-support.ts'
import { bankDecides, booksOf, openPaid, refund, refundsAtGateway } from './refund-support.ts'
import { openShop, type Replica, type Shop } from './shop.ts'

/**
 * A run that acts is killed just before and just after everything that it does, and another process is there. A shop for each kind of
 * repair, so that all its charges fit on one page.
 */
let shop: Shop
let api: Replica
let stranger: Stranger
/** The process that is still there. */
let living: Reconciler

let processes = 0
async function mortalRun() {
  const mortal = createMortal()
  const replica = await shop.replica(`mortal-${++processes}`, mortal.parts)
  const gateway = mortal.parts.gateway?.(stranger.gateway) ?? stranger.gateway
  const deps: ReconcileDeps = { ...living.deps, payments: replica.deps, gateway }
  return { mortal, act: () => reconcile(deps, { mode: 'act', from: null, to: null }) }
}

async function chargedTwice() {
  const { orderId } = await openPaid(api)
  await stranger.charge(orderId)
  return orderId
}

async function chargedUnpaid() {
  const orderId = await api.createOrder()
  await stranger.charge(orderId)
  return orderId
}

async function onHold() {
  const { orderId } = await openPaid(api)
  await stranger.charge(orderId, { captureMethod: 'manual' })
  return orderId
}

async function sentBack() {
  const paid = await openPaid(api)
  await refund(api, paid.paymentId)
  const { refunds } = await booksOf(shop, paid)
  await bankDecides(shop, refunds[0]?.gatewayRefundId ?? '', 'fail')
  return paid.orderId
}

/** Begin, five pages of which each is read and written down: what every run does before it acts. */
const reading = [
  ...[
    'commit 1',
    'listCharges 1',
    'statement 1',
    'commit 2',
    'listRefunds 1',
    'statement 2',
    'statement 3',
    'commit 3',
  ],
  ...['statement 4', 'listDisputes 1', 'statement 5', 'commit 4'],
  ...['statement 6', 'statement 7', 'commit 5', 'statement 8', 'statement 9', 'commit 6'],
]

/** Which difference is next, how our books stand with its repair, and the charge as it is now. */
const looking = ['statement 10', 'statement 11', 'retrieveIntent 1', 'listRefundsOf 1', 'statement 12']

/** Nothing is left to do; the run is ended, and what it saw is forgotten. */
const ending = (first: number) => [0, 1, 2, 3].map((place) => `statement ${first + place}`)

const repairs = [
  {
    of: 'a second charge',
    prepare: chargedTwice,
    acts: [
      ...[...looking, 'statement 13', 'retrieveIntent 2', 'listRefundsOf 2'],
      ...['commit 7', 'createRefund 1', 'commit 8', 'statement 14', 'commit 9', ...ending(15)],
    ],
    given: { repairs: [{ state: 'succeeded', amount: 4_200 }], refunds: 1 },
  },
  {
    of: 'an unpaid order',
    prepare: chargedUnpaid,
    acts: [...looking, 'commit 7', 'commit 8', ...ending(13)],
    given: { repairs: [], refunds: 0 },
  },
  {
    of: 'a hold',
    prepare: onHold,
    acts: [...looking, 'commit 7', 'cancelIntent 1', 'commit 8', ...ending(13)],
    given: { repairs: [], refunds: 0 },
  },
  {
    of: 'a refund that the bank sent back',
    prepare: sentBack,
    acts: ['statement 10', 'retrieveRefund 1', 'statement 11', 'commit 7', 'commit 8', ...ending(12)],
    given: { repairs: [], refunds: 1 },
  },
]

describe.each(repairs)('the repair of $of', ({ prepare, acts, given }) => {
  beforeAll(async () => {
    shop = await openShop()
    api = await shop.replica('api-1')
    stranger = openStranger(shop)
    living = openReconciler(api, stranger.gateway)
  })
  afterEach(() => shop.closeReplicas('mortal-'))
  afterAll(async () => {
    await stranger?.close()
    await shop?.close()
  })

  it('touches the world at exactly these points', async () => {
    const orderId = await prepare()
    const { mortal, act } = await mortalRun()
    expect(await mortal.passedBy(act)).toEqual(bothSidesOf(...reading, ...acts))
    expect(await endOf(orderId)).toEqual(given)
  })

  // While a run only reads, all of them are alike.
  const points = prepare === chargedTwice ? [...reading, ...acts] : acts
  it.each(bothSidesOf(...points))('killed %s: another process finishes it, and it happened once', async (point) => {
    const orderId = await prepare()
    const { mortal, act } = await mortalRun()
    await mortal.dieAt(point, act)
    await letRunLeaseRunOut(shop)
    await living.run('act')
    await letRefundBeDue(orderId)
    await recoverRefund(api.deps)
    expect((await living.run('act')).about(orderId)).toEqual([])
    expect(await endOf(orderId)).toEqual(given)
  })
})

async function letRefundBeDue(orderId: string): Promise<void> {
  await shop.sql(
    `UPDATE refunds SET next_attempt_at = now() - interval '1 s',
            leased_until = CASE WHEN leased_until IS NOT NULL THEN now() - interval '1 s' END
      WHERE order_id = $1 AND settled_at IS NULL`,
    [orderId],
  )
}

async function endOf(orderId: string) {
  expect(await keptIn(shop, orderId)).toBe(4_200)
  expect(await stateIn(shop, orderId)).toBe('paid')
  return { repairs: await repairsIn(shop, orderId), refunds: (await refundsAtGateway(shop, orderId)).length }
}
