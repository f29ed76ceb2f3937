import { randomUUID } from 'node:crypto'
import type { Gateway } from '@seatbelt/safety'
import { createLatch, type Latch } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { recoverPayment } from '../src/index.ts'
import { countingReplica } from './counting-replica.ts'
import { hookedTransaction, isSettleRead } from './hooked-transaction.ts'
import { brief, letLeasesRunOut, letTimePass, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let worker: Replica

beforeAll(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
  worker = await shop.replica('worker-1')
})
afterAll(() => shop?.close())
beforeEach(() => shop.faults())

/** Where a process is stopped: just before a request leaves it, or just after its answer arrived. */
interface Stop {
  readonly request: keyof Gateway
  readonly at: 'before' | 'after'
}

/** A replica that halts at one point until the test lets it go on: a paused process, as far as all others can see. */
async function pausedReplica(by: string, { request, at }: Stop) {
  const reached = createLatch(`${by} reached ${at} ${request}`)
  const goOn = createLatch(`${by} goes on`)
  const sent: string[] = []
  const replica = await shop.replica(by, { gateway: (real) => haltAt(real, { request, at, reached, goOn, sent }) })
  return { replica, reached, goOn, sent }
}

interface Halt extends Stop {
  readonly reached: Latch
  readonly goOn: Latch
  readonly sent: string[]
}

function haltAt(real: Gateway, { request, at, reached, goOn, sent }: Halt): Gateway {
  const around = async <T>(name: keyof Gateway, send: () => Promise<T>): Promise<T> => {
    const halt = async (moment: Stop['at']) => {
      if (name !== request || moment !== at) return
      reached.open()
      await goOn.wait()
    }
    await halt('before')
    sent.push(name)
    const answer = await send()
    await halt('after')
    return answer
  }
  return {
    ...real,
    createIntent: (...asked) => around('createIntent', () => real.createIntent(...asked)),
    confirmIntent: (...asked) => around('confirmIntent', () => real.confirmIntent(...asked)),
    cancelIntent: (...asked) => around('cancelIntent', () => real.cancelIntent(...asked)),
    retrieveIntent: (...asked) => around('retrieveIntent', () => real.retrieveIntent(...asked)),
  }
}

/** Recovery until nothing is due: what a worker does, without its pauses. Bounded, because each look takes a generation. */
async function recoverAll(replica: Replica = worker): Promise<void> {
  for (let looks = 0; looks < 10; looks++) {
    await letLeasesRunOut(shop)
    if (!(await recoverPayment(replica.deps))) return
  }
  throw new Error('recovery did not come to an end')
}

async function paymentOf(orderId: string) {
  const rows = await shop.sql<{ state: string; decline_code: string | null; generation: number }>(
    'SELECT state, decline_code, generation FROM payments WHERE order_id = $1 ORDER BY id',
    [orderId],
  )
  return rows.at(-1)
}

describe('an answer that was lost after the charge', () => {
  it('leaves the payment processing, is found by looking, and is told to the retry of the same key', async () => {
    const orderId = await api.createOrder()
    const key = randomUUID()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, metadata: { orderId } })
    expect(brief(await api.pay(orderId, key))).toBe('unsettled')
    expect(brief(await api.pay(orderId, key))).toBe('unsettled')
    expect(brief(await api.pay(orderId))).toBe('refused payment-in-progress')
    await shop.faults()
    await recoverAll()
    expect(brief(await api.pay(orderId, key))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it.each([
    { kind: 'error-after', confirms: 1 },
    { kind: 'error-before', confirms: 2 },
  ])(
    'a 500 ($kind): looks, and asks again under the next key only if nothing had happened',
    async ({ kind, confirms }) => {
      const orderId = await api.createOrder()
      await shop.faults({ on: 'confirm', kind, rate: 1, times: 1, metadata: { orderId } })
      await api.pay(orderId)
      await recoverAll()
      expect(await paymentOf(orderId)).toMatchObject({ state: 'succeeded' })
      expect(await shop.charges(orderId)).toHaveLength(1)
      const rows = await shop.sql('SELECT confirm_attempt FROM payments WHERE order_id = $1', [orderId])
      expect(rows).toEqual([{ confirm_attempt: confirms }])
    },
  )
})

describe('a decline whose fence failed', () => {
  it('stays open until its intent is cancelled, and keeps its code though the cancel answered nothing', async () => {
    const orderId = await api.createOrder()
    const key = randomUUID()
    await shop.faults({ on: 'cancel', kind: 'drop-after', rate: 1, times: 1, metadata: { orderId } })
    expect(brief(await api.pay(orderId, key, 'pm_card_visa_chargeDeclinedInsufficientFunds'))).toBe('unsettled')
    expect(await paymentOf(orderId)).toMatchObject({ state: 'processing', decline_code: 'insufficient_funds' })
    await recoverAll()
    expect(await paymentOf(orderId)).toMatchObject({ state: 'declined', decline_code: 'insufficient_funds' })
    expect(brief(await api.pay(orderId, key, 'pm_card_visa_chargeDeclinedInsufficientFunds'))).toBe('answered 402')
  })

  it('is not blocked by a 500 that the gateway replays for the key of the cancel', async () => {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'cancel', kind: 'error-before', rate: 1, times: 1, metadata: { orderId } })
    await api.pay(orderId, randomUUID(), 'pm_card_visa_chargeDeclinedInsufficientFunds')
    await recoverAll()
    expect(await paymentOf(orderId)).toMatchObject({ state: 'declined', decline_code: 'insufficient_funds' })
  })
})

describe('an owner that is paused until its lease is over', () => {
  it('before it confirms: recovery charges, and the late confirm charges nothing more', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-1', { request: 'confirmIntent', at: 'before' })
    const orderId = await api.createOrder()
    const key = randomUUID()
    const late = replica.pay(orderId, key)
    await reached.wait()
    await recoverAll()
    expect(await paymentOf(orderId)).toMatchObject({ state: 'succeeded', generation: 2 })
    goOn.open()
    // It settles nothing: the generation is not its own any more. It answers what was recorded.
    expect(brief(await late)).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
    expect(
      await shop.sql('SELECT 1 FROM transfers t JOIN payments p ON p.id = t.payment_id WHERE p.order_id = $1', [
        orderId,
      ]),
    ).toHaveLength(1)
  })

  it('after it was answered, and another owner then gives up: that one leaves no pause', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-7', { request: 'confirmIntent', at: 'after' })
    const owner = await pausedReplica('worker-7', { request: 'retrieveIntent', at: 'before' })
    const orderId = await api.createOrder()
    const late = replica.pay(orderId)
    await reached.wait()
    await letLeasesRunOut(shop)
    await shop.faults({ on: 'retrieve', kind: 'drop-before', rate: 1, times: 1, metadata: { orderId } })
    const recovery = recoverPayment(owner.replica.deps)
    await owner.reached.wait()
    goOn.open()
    expect(brief(await late)).toBe('unsettled')
    owner.goOn.open()
    expect((await recovery)?.result.kind).toBe('unsettled')
    expect((await recoverPayment(worker.deps))?.result.kind).toBe('answered')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('before it stores the intent: it stores and sends nothing more', async () => {
    const { replica, reached, goOn, sent } = await pausedReplica('zombie-2', { request: 'createIntent', at: 'after' })
    const orderId = await api.createOrder()
    const late = replica.pay(orderId)
    await reached.wait()
    await recoverAll()
    expect(await paymentOf(orderId)).toMatchObject({ state: 'succeeded' })
    goOn.open()
    await late
    expect(sent).toEqual(['createIntent'])
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('before it confirms what is no longer wanted: the gateway refuses its late confirm', async () => {
    const { replica, reached, goOn, sent } = await pausedReplica('zombie-3', { request: 'confirmIntent', at: 'before' })
    const orderId = await api.createOrder()
    const key = randomUUID()
    const late = replica.pay(orderId, key)
    await reached.wait()
    await letTimePass(shop, '16 minutes')
    await recoverAll()
    expect(await paymentOf(orderId)).toMatchObject({ state: 'cancelled' })
    goOn.open()
    expect(brief(await late)).toBe('answered 402')
    expect(sent).toContain('confirmIntent')
    expect(await shop.charges(orderId)).toHaveLength(0)
    expect(brief(await api.pay(orderId))).toBe('answered 201')
  })

  it('and confirms between the look and the cancel of recovery: the refused cancel is evidence of success', async () => {
    const zombie = await pausedReplica('zombie-4', { request: 'confirmIntent', at: 'before' })
    const canceller = await pausedReplica('worker-4', { request: 'cancelIntent', at: 'before' })
    const orderId = await api.createOrder()
    const late = zombie.replica.pay(orderId)
    await zombie.reached.wait()
    await letTimePass(shop, '16 minutes')
    const recovery = recoverPayment(canceller.replica.deps)
    await canceller.reached.wait()
    zombie.goOn.open()
    expect(brief(await late)).toBe('unsettled')
    canceller.goOn.open()
    await recovery
    expect(await paymentOf(orderId)).toMatchObject({ state: 'succeeded' })
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

describe('a retry with the same key', () => {
  it('costs one statement besides the read of the key where the owner gave up, and none once it is answered', async () => {
    const { replica, costOf } = await countingReplica(shop, 'counting')
    const orderId = await api.createOrder()
    const key = randomUUID()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1, metadata: { orderId } })
    await api.pay(orderId, key)
    const again = async () => brief(await replica.pay(orderId, key))
    expect(await costOf(again)).toEqual({ result: 'unsettled', statements: 2 })
    await recoverAll()
    expect(await costOf(again)).toEqual({ result: 'answered 201', statements: 1 })
  })

  it('while the owner lives is refused, and recovers the payment itself once the owner is dead', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-5', { request: 'confirmIntent', at: 'before' })
    const orderId = await api.createOrder()
    const key = randomUUID()
    const late = replica.pay(orderId, key)
    await reached.wait()
    expect(brief(await api.pay(orderId, key))).toBe('refused request-in-progress')
    await letLeasesRunOut(shop)
    expect(brief(await api.pay(orderId, key))).toBe('answered 201')
    goOn.open()
    expect(brief(await late)).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

describe('two recoveries at once', () => {
  it('take one payment once: the other finds nothing due', async () => {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1, metadata: { orderId } })
    await api.pay(orderId)
    await letLeasesRunOut(shop)
    const taken = await Promise.all([recoverPayment(worker.deps), recoverPayment(api.deps)])
    expect(taken.filter(Boolean)).toHaveLength(1)
  })
})

describe('a payment whose recovery fails each time', () => {
  it('stands behind the others that are due, not before them', async () => {
    const [poisoned, healthy] = [await api.createOrder(), await api.createOrder()]
    for (const orderId of [poisoned, healthy]) {
      await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1, metadata: { orderId } })
      await api.pay(orderId)
    }
    await shop.sql(
      `UPDATE payments SET next_attempt_at = now() - CASE order_id WHEN $1 THEN interval '2 s' ELSE interval '1 s' END WHERE order_id IN ($1, $2)`,
      [poisoned, healthy],
    )
    const failing = await shop.replica('worker-5', {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text, [row]) => {
            if (isSettleRead(text) && row?.orderId === poisoned) throw new Error('this one cannot be written down')
          },
        }),
      }),
    })
    await expect(recoverPayment(failing.deps)).rejects.toThrow('this one cannot be written down')
    await shop.sql(`UPDATE payments SET leased_until = now() - interval '1 s' WHERE order_id = $1`, [poisoned])
    expect((await recoverPayment(failing.deps))?.payment.orderId).toBe(healthy)
    await recoverAll()
  })
})

describe('a payment that no answer ever settles', () => {
  it('is shown to a person after a day and not before, is still looked at, and ends when the evidence comes', async () => {
    const orderId = await api.createOrder()
    const broken = { kind: 'error-before', rate: 1, metadata: { orderId } }
    await shop.faults({ on: 'confirm', ...broken }, { on: 'retrieve', ...broken }, { on: 'cancel', ...broken })
    await api.pay(orderId)
    await letTimePass(shop, '14 minutes')
    await recoverPayment(worker.deps)
    expect(await paymentOf(orderId)).toMatchObject({ state: 'processing' })
    await letTimePass(shop, '25 hours')
    await recoverPayment(worker.deps)
    expect(await paymentOf(orderId)).toMatchObject({ state: 'needs_review' })
    expect(brief(await api.pay(orderId))).toBe('refused payment-in-review')
    await shop.faults()
    await recoverAll()
    expect((await paymentOf(orderId))?.state).toBe('cancelled')
    expect(await shop.charges(orderId)).toHaveLength(0)
  })
})

describe('the history of a payment that a silent gateway leaves open', () => {
  const linesOf = (paymentId: string) =>
    shop.sql<{ event: string; detail: string | null }>(
      'SELECT event, detail FROM payment_events WHERE payment_id = $1 ORDER BY id',
      [paymentId],
    )

  it('has a line for what is new, and not for each look: the looks are counted', async () => {
    const orderId = await api.createOrder()
    const silent = (kind: string) =>
      ['confirm', 'retrieve', 'cancel'].map((on) => ({ on, kind, rate: 1, metadata: { orderId } }))
    await shop.faults(...silent('error-before'))
    await api.pay(orderId)
    const [{ id = '' } = {}] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    const look = async (times: number) => {
      for (let looks = 0; looks < times; looks++) {
        await letLeasesRunOut(shop)
        expect((await recoverPayment(worker.deps, id))?.result.kind).toBe('unsettled')
      }
    }
    await look(15)
    const before = await linesOf(id)
    await look(15)
    expect(await linesOf(id)).toEqual(before)
    const [row] = await shop.sql<{ attempts: number }>('SELECT attempts FROM payments WHERE id = $1', [id])
    expect(row?.attempts).toBeGreaterThanOrEqual(30)

    // An answer that comes and goes is new once.
    for (let turns = 0; turns < 4; turns++) {
      await shop.faults(...silent('rate-limit'))
      await look(1)
      await shop.faults(...silent('error-before'))
      await look(1)
    }
    const told = (await linesOf(id)).slice(before.length)
    expect(told).toEqual([
      { event: 'look', detail: 'rate-limited (429)' },
      { event: 'unknown', detail: 'rate-limited (429)' },
    ])

    await shop.faults()
    await recoverAll()
    expect((await linesOf(id)).at(-1)).toEqual({ event: 'settled', detail: 'succeeded' })
  })

  it('tells of each owner that died, however often that was', async () => {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind: 'drop-before', rate: 1, metadata: { orderId } })
    await api.pay(orderId)
    const [{ id = '' } = {}] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    await shop.sql('UPDATE payments SET attempts = 1000 WHERE id = $1', [id])
    const takeovers = async () => (await linesOf(id)).filter(({ event }) => event === 'taken-over').length
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps, id)
    expect(await takeovers()).toBe(0)
    await shop.sql(
      `UPDATE payments SET leased_until = now() - interval '1 second', next_attempt_at = now() WHERE id = $1`,
      [id],
    )
    await recoverPayment(worker.deps, id)
    expect(await takeovers()).toBe(1)
  })
})

describe('a payment that cannot be settled', () => {
  it('waits for a person after a day, and is settled once the cause is repaired', async () => {
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, metadata: { orderId } })
    expect(brief(await api.pay(orderId))).toBe('unsettled')
    const setOrder = (state: string) =>
      shop.sql(`UPDATE orders SET state = $1::order_state, version = version + 1 WHERE id = $2`, [state, orderId])
    const [payment] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
    await setOrder('pending')

    await letLeasesRunOut(shop)
    await expect(recoverPayment(worker.deps, payment?.id)).rejects.toThrow('is pending while its payment is settled')
    await letTimePass(shop, '25 hours')
    const recovered = await recoverPayment(worker.deps, payment?.id)
    expect(recovered?.result).toMatchObject({ kind: 'unsettled', subject: { state: 'needs_review' } })
    const detail = 'succeeded could not be recorded, which the log explains'
    expect(await lastLine(payment?.id)).toEqual({ event: 'unknown', detail })
    expect(worker.faults.map(String)).toContain(`Error: payment ${payment?.id} waits for a person: npm run review`)

    await letLeasesRunOut(shop)
    expect((await recoverPayment(worker.deps, payment?.id))?.result.kind).toBe('unsettled')
    await setOrder('processing')
    await letLeasesRunOut(shop)
    expect((await recoverPayment(worker.deps, payment?.id))?.result).toMatchObject({ kind: 'answered' })
    expect(await lastLine(payment?.id)).toEqual({ event: 'settled', detail: 'succeeded' })
    expect(await shop.charges(orderId)).toHaveLength(1)
  })
})

async function lastLine(paymentId = '') {
  const [line] = await shop.sql<{ event: string; detail: string }>(
    'SELECT event, detail FROM payment_events WHERE payment_id = $1 ORDER BY id DESC LIMIT 1',
    [paymentId],
  )
  return line
}
