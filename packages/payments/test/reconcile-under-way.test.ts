import { randomUUID } from 'node:crypto'
import type { Gateway } from '@seatbelt/safety'
import { createLatch, eventually } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSubscriptionOperations, reconcile, recoverPayment, recoverRefund } from '../src/index.ts'
import { hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { hookedTransaction, isSettleRead } from './hooked-transaction.ts'
import {
  found,
  keptIn,
  letRunLeaseRunOut,
  openReconciler,
  openStranger,
  type Reconciler,
  repairsIn,
  type Stranger,
  stateIn,
} from './reconcile-support.ts'
import { bankDecides, openPaid, refund, refundsAtGateway } from './refund-support.ts'
import { accountId, brief, call, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let worker: Replica
let stranger: Stranger
let reconciler: Reconciler

beforeAll(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
  worker = await shop.replica('worker-1')
  stranger = openStranger(shop)
  reconciler = openReconciler(worker, stranger.gateway)
})
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

const act = { mode: 'act', from: null, to: null } as const

/** Halts just before the request leaves, or just after its answer came: once, where `isIt` says so. */
function halting<Name extends keyof Gateway>(
  name: Name,
  at: 'before' | 'after',
  isIt: (...asked: Parameters<Gateway[Name]>) => boolean = () => true,
) {
  const reached = createLatch(`reached ${at} ${name}`, { boundMs: 20_000 })
  const goOn = createLatch(`goes on ${at} ${name}`, { boundMs: 25_000 })
  const gateway = (real: Gateway): Gateway => {
    const send = real[name] as (...asked: Parameters<Gateway[Name]>) => Promise<unknown>
    const halt = async () => {
      reached.open()
      await goOn.wait()
    }
    const around = async (...asked: Parameters<Gateway[Name]>) => {
      const isHere = !reached.isOpen && isIt(...asked)
      if (isHere && at === 'before') await halt()
      const answer = await send(...asked)
      if (isHere && at === 'after') await halt()
      return answer
    }
    return { ...real, [name]: around }
  }
  return { gateway, reached, goOn }
}

async function intentOf(orderId: string): Promise<string> {
  const [row] = await shop.sql<{ intent: string }>(
    'SELECT gateway_intent_id AS intent FROM payments WHERE order_id = $1',
    [orderId],
  )
  return row?.intent ?? ''
}

async function letRefundsOfOrderBeDue(orderId: string): Promise<void> {
  await shop.sql(
    `UPDATE refunds SET next_attempt_at = now() - interval '1 second',
            leased_until = CASE WHEN leased_until IS NOT NULL THEN now() - interval '1 second' END
      WHERE order_id = $1 AND settled_at IS NULL`,
    [orderId],
  )
}

describe('while somebody is at work on the order', () => {
  it('an owner that is about to give back the first charge: the second is left, and is then the only one', async () => {
    const { gateway, reached, goOn } = halting('createRefund', 'before')
    const owner = await shop.replica('api-2', { gateway })
    const { orderId, paymentId } = await openPaid(api)
    await stranger.charge(orderId)
    const late = refund(owner, paymentId)
    await reached.wait()
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    expect(await repairsIn(shop, orderId)).toEqual([])
    goOn.open()
    expect(brief(await late)).toBe('answered 201')
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ kind: 'charged-twice', action: 'person' }])
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })

  it('a refund of the first charge that comes between the look and the claim stops the claim', async () => {
    const { orderId, paymentId } = await openPaid(api)
    const first = await intentOf(orderId)
    await stranger.charge(orderId)
    const { gateway, reached, goOn } = halting('listRefundsOf', 'after', (intentId) => intentId === first)
    const running = reconcile({ ...reconciler.deps, gateway: gateway(stranger.gateway) }, act)
    await reached.wait()
    expect(brief(await refund(api, paymentId))).toBe('answered 201')
    goOn.open()
    expect(await running).toMatchObject({ kind: 'finished' })
    expect(await repairsIn(shop, orderId)).toEqual([])
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })

  it('an owner that pays between the look and the adoption: the order has one payment, and the stranger goes back', async () => {
    const orderId = await api.createOrder()
    const { intentId } = await stranger.charge(orderId)
    const { gateway, reached, goOn } = halting('listRefundsOf', 'after', (asked) => asked === intentId)
    const running = reconcile({ ...reconciler.deps, gateway: gateway(stranger.gateway) }, act)
    await reached.wait()
    expect(brief(await api.pay(orderId))).toBe('answered 201')
    goOn.open()
    await running
    await reconciler.run('act')
    const payments = await shop.sql('SELECT 1 FROM payments WHERE order_id = $1', [orderId])
    expect(payments).toHaveLength(1)
    expect(await keptIn(shop, orderId)).toBe(4_200)
    expect(await intentOf(orderId)).not.toBe(intentId)
  })

  it('a subscription that is cancelled while a charge of its invoice is adopted: it waits, in the order in which all take the two rows', async () => {
    const billing = openBillingShop(shop)
    const id = await billing.subscribe(api, { card: 'pm_card_chargeCustomerFail' })
    await lead(api, hoursFromNow(1))
    const orderId = (await billing.invoicesOf(id))[0]?.order_id ?? ''
    await stranger.charge(orderId, { amountMinor: 900 })
    const [claimed, goOn] = [
      createLatch('the order is claimed', { boundMs: 20_000 }),
      createLatch('the adoption goes on'),
    ]
    const adopter = await shop.replica('adopter', {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text) => {
            if (!isSettleRead(text)) return
            claimed.open()
            await goOn.wait()
          },
        }),
      }),
    })
    const adoption = openReconciler(adopter, stranger.gateway).run('act')
    await claimed.wait()
    // Whoever cancels takes the subscription's row first, and then the order's, which is taken here.
    const take = shop.sql('SELECT 1 FROM subscriptions WHERE id = $1 FOR NO KEY UPDATE NOWAIT', [id])
    await expect(take).rejects.toThrow('could not obtain lock')
    const { deps } = await shop.replica('canceller')
    const cancellation = createSubscriptionOperations(deps).cancelSubscription(call(randomUUID(), { cancel: id }), id)
    await eventually('the cancellation waits', async () => {
      const waiting = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'canceller' AND wait_event_type = 'Lock'`
      return (await shop.sql(waiting)).length > 0
    })
    goOn.open()
    expect((await adoption).about(orderId)).toMatchObject([{ action: 'adopt', outcome: 'done' }])
    expect(brief(await cancellation)).toBe('answered 200')
    expect(adopter.faults).toEqual([])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid' }])
  })

  it('a payment that recovery has not settled yet: the second charge waits for it', async () => {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1, metadata: { orderId } })
    expect(brief(await api.pay(orderId))).toBe('unsettled')
    await shop.faults()
    await stranger.charge(orderId)
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    expect(await keptIn(shop, orderId)).toBe(8_400)
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(await stateIn(shop, orderId)).toBe('paid')
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ kind: 'charged-twice', outcome: 'done' }])
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })

  it('an owner that is about to ask for the money, and is then declined: the stranger pays the order', async () => {
    const { gateway, reached, goOn } = halting('confirmIntent', 'before')
    const owner = await shop.replica('api-3', { gateway })
    const orderId = await api.createOrder()
    const late = owner.pay(orderId, randomUUID(), 'pm_card_visa_chargeDeclined')
    await reached.wait()
    await stranger.charge(orderId)
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    goOn.open()
    expect(brief(await late)).toBe('answered 402')
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([
      { kind: 'orphan-unpaid-order', outcome: 'done' },
    ])
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })

  it('a hold that is captured between the look and the cancel is not given back', async () => {
    const { orderId } = await openPaid(api)
    const { intentId } = await stranger.charge(orderId, { captureMethod: 'manual' })
    const { gateway, reached, goOn } = halting('cancelIntent', 'before')
    const running = reconcile({ ...reconciler.deps, gateway: gateway(stranger.gateway) }, act)
    await reached.wait()
    await stranger.gateway.captureIntent(intentId, randomUUID(), accountId)
    goOn.open()
    const result = await running
    if (result.kind !== 'finished') throw new Error(result.kind)
    expect((await found(worker, result.runId)).about(orderId)).toMatchObject([{ outcome: 'left' }])
    expect(await refundsAtGateway(shop, orderId)).toEqual([])
    // Now it is a second charge, and the next run gives it back.
    await reconciler.run('act')
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })
})

describe('two reconciliations at once', () => {
  it('are one: the other is told that somebody is at it', async () => {
    const { gateway, reached, goOn } = halting('listCharges', 'before')
    const running = reconcile({ ...reconciler.deps, gateway: gateway(stranger.gateway) }, act)
    await reached.wait()
    expect(await reconcile(openReconciler(api, stranger.gateway).deps, act)).toEqual({ kind: 'busy', by: 'worker-1' })
    goOn.open()
    expect(await running).toMatchObject({ kind: 'finished' })
  })

  it('that both believe to have the run give a charge back once: paused before its claim, and past its lease', async () => {
    const { orderId } = await openPaid(api)
    const first = await intentOf(orderId)
    await stranger.charge(orderId)
    const { gateway, reached, goOn } = halting('listRefundsOf', 'after', (intentId) => intentId === first)
    const paused = reconcile({ ...reconciler.deps, gateway: gateway(stranger.gateway) }, act)
    await reached.wait()
    await letRunLeaseRunOut(shop)
    const other = await openReconciler(api, stranger.gateway).run('act')
    expect(other.about(orderId)).toMatchObject([{ kind: 'charged-twice', outcome: 'done' }])
    goOn.open()
    expect(await paused).toMatchObject({ kind: 'interrupted', reason: 'another process goes on with it' })
    expect(await repairsIn(shop, orderId)).toEqual([{ state: 'succeeded', amount: 4_200 }])
    expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
  })

  it('of which one was killed after its refund was sent: the other leaves it to recovery, which finds it there', async () => {
    const { orderId } = await openPaid(api)
    await stranger.charge(orderId)
    const { gateway, reached, goOn } = halting('createRefund', 'after')
    const killed = await shop.replica('worker-9', { gateway })
    const dead = reconcile({ ...reconciler.deps, payments: killed.deps }, act)
    await reached.wait()
    await letRunLeaseRunOut(shop)
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ outcome: 'under-way' }])
    await letRefundsOfOrderBeDue(orderId)
    await recoverRefund(worker.deps)
    expect(await repairsIn(shop, orderId)).toEqual([{ state: 'succeeded', amount: 4_200 }])
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    // The dead cannot come back; a test must not leave it hanging.
    goOn.open()
    await dead
    expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })

  it('of which one was stopped after its adoption and before its note: the other finds it done', async () => {
    const orderId = await api.createOrder()
    const { intentId } = await stranger.charge(orderId)
    const { gateway, reached, goOn } = halting('listRefundsOf', 'after', (asked) => asked === intentId)
    const paused = reconcile({ ...reconciler.deps, gateway: gateway(stranger.gateway) }, act)
    await reached.wait()
    await letRunLeaseRunOut(shop)
    expect((await openReconciler(api, stranger.gateway).run('act')).about(orderId)).toMatchObject([{ outcome: 'done' }])
    goOn.open()
    await paused
    expect(await shop.sql('SELECT 1 FROM payments WHERE order_id = $1', [orderId])).toHaveLength(1)
    expect(await keptIn(shop, orderId)).toBe(4_200)
  })
})

describe('a repair whose bank takes its time', () => {
  it('is under way, and not begun again', async () => {
    const { orderId } = await openPaid(api)
    await stranger.charge(orderId, { paymentMethod: 'pm_card_pendingRefund' })
    expect((await reconciler.run('act')).about(orderId)).toMatchObject([{ outcome: 'under-way' }])
    expect((await reconciler.run('act')).about(orderId)).toEqual([])
    const [row] = await shop.sql<{ id: string }>('SELECT gateway_refund_id AS id FROM refunds WHERE order_id = $1', [
      orderId,
    ])
    await bankDecides(shop, row?.id ?? '', 'succeed')
    await letRefundsOfOrderBeDue(orderId)
    await recoverRefund(worker.deps)
    expect(await repairsIn(shop, orderId)).toEqual([{ state: 'succeeded', amount: 4_200 }])
    expect(await refundsAtGateway(shop, orderId)).toHaveLength(1)
  })
})
