import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import type { Gateway } from '@seatbelt/safety'
import { createLatch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  createPaymentOperations,
  type PaymentLayers,
  recoverExpiredAuthorization,
  recoverPayment,
} from '../src/index.ts'
import { countingReplica } from './counting-replica.ts'
import { hookedTransaction, isSettleRead } from './hooked-transaction.ts'
import {
  bodyOf,
  brief,
  call,
  letLeasesRunOut,
  letTimePass,
  openShop,
  paymentIdOf,
  type Replica,
  type Shop,
} from './shop.ts'

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

async function onHold(paymentMethod?: string) {
  const orderId = await api.createOrder()
  const payKey = randomUUID()
  const authorized = await api.authorize(orderId, payKey, paymentMethod)
  expect(brief(authorized)).toBe('answered 201')
  return { orderId, payKey, authorized, paymentId: paymentIdOf(authorized) }
}

async function paymentRow(paymentId: string) {
  const rows = await shop.sql<{ state: string; goal: string; decline_code: string | null; generation: number }>(
    'SELECT state, goal, decline_code, generation FROM payments WHERE id = $1',
    [paymentId],
  )
  return rows[0]
}

async function orderState(orderId: string) {
  return (await shop.sql<{ state: string }>('SELECT state FROM orders WHERE id = $1', [orderId]))[0]?.state
}

/** What happened to the money of one payment's intent, as the gateway wrote it down. */
async function ledgerOf(paymentId: string): Promise<string[]> {
  const response = await fetch(`${shop.gatewayUrl}/_ledger?limit=5000`)
  const { entries } = (await response.json()) as { entries: { type: string; metadata: { paymentId?: string } }[] }
  const [row] = await shop.sql<{ name: string }>('SELECT gateway_key AS name FROM payments WHERE id = $1', [paymentId])
  return entries.filter(({ metadata }) => metadata.paymentId === row?.name).map(({ type }) => type)
}

const held = ['intent.created', 'charge.authorized']
const captured = [...held, 'charge.captured']
const givenBack = [...held, 'charge.released', 'intent.canceled']

/** The answers of one kind of request are replaced; all others are the real gateway's. */
function gatewayThat(replaced: Partial<Gateway>) {
  return { gateway: (real: Gateway): Gateway => ({ ...real, ...replaced }) }
}

/** Meanwhile others do whole operations, on a machine that may be busy. */
const patience = { boundMs: 15_000 }

/** Stands still just before a request leaves it: a paused process, as far as all others can see. */
async function pausedBefore(request: 'captureIntent' | 'cancelIntent', by: string) {
  const [reached, goOn] = [createLatch(`${by} reached ${request}`, patience), createLatch(`${by} goes on`, patience)]
  const halt = async () => {
    reached.open()
    await goOn.wait()
  }
  const replica = await shop.replica(by, {
    gateway: (real) => ({
      ...real,
      [request]: async (...asked: Parameters<typeof real.captureIntent>) => {
        await halt()
        return real[request](...asked)
      },
    }),
  })
  return { replica, reached, goOn }
}

/** Recovery until nothing of this payment is due. */
async function recoverAll(paymentId: string): Promise<void> {
  for (let looks = 0; looks < 10; looks++) {
    await letLeasesRunOut(shop)
    if (!(await recoverPayment(worker.deps, paymentId))) return
  }
  throw new Error('recovery did not come to an end')
}

describe('an authorization', () => {
  it('holds the amount and takes nothing: the order waits, and nobody can pay or cancel it meanwhile', async () => {
    const { orderId, paymentId, authorized } = await onHold()
    expect(bodyOf(authorized)).toMatchObject({ outcome: { state: 'authorized' } })
    expect(await ledgerOf(paymentId)).toEqual(held)
    expect(await orderState(orderId)).toBe('processing')
    const refused = { kind: 'refused', refusal: { code: 'payment-authorized', orderId, paymentId } }
    expect([await api.pay(orderId), await api.cancel(orderId)]).toEqual([refused, refused])
    await letLeasesRunOut(shop)
    expect(await recoverPayment(worker.deps, paymentId)).toBeNull()
  })

  it('that is captured is paid and booked once, and its own key keeps the answer that it had', async () => {
    const { orderId, paymentId, payKey, authorized } = await onHold()
    expect(brief(await api.capture(paymentId))).toBe('answered 200')
    expect([await orderState(orderId), await ledgerOf(paymentId)]).toEqual(['paid', captured])
    expect(await shop.sql('SELECT kind FROM transfers WHERE payment_id = $1', [paymentId])).toEqual([
      { kind: 'charge' },
    ])
    expect(await api.authorize(orderId, payKey)).toEqual({ ...authorized, replayed: true })
    expect(brief(await api.void(paymentId))).toBe('refused payment-not-authorized')
  })

  it('that is voided is given back, and the order can be paid anew', async () => {
    const { orderId, paymentId } = await onHold()
    expect(brief(await api.void(paymentId))).toBe('answered 200')
    expect([await orderState(orderId), await ledgerOf(paymentId)]).toEqual(['pending', givenBack])
    expect(brief(await api.capture(paymentId))).toBe('refused payment-not-authorized')
    expect(brief(await api.pay(orderId))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it("of another account is unknown, and so is what is no payment's id", async () => {
    const { paymentId } = await onHold()
    const operations = createPaymentOperations(api.deps)
    const stranger = call(randomUUID(), {}, developmentAccounts[1].id)
    expect(brief(await operations.capturePayment(stranger, paymentId))).toBe('refused payment-not-found')
    expect(brief(await operations.voidPayment(stranger, paymentId))).toBe('refused payment-not-found')
    expect(brief(await api.capture(randomUUID()))).toBe('refused payment-not-found')
    expect(await ledgerOf(paymentId)).toEqual(held)
  })
})

describe('a capture that is sent twice', () => {
  it('with one key happens once, and all hear the same in the end', async () => {
    const { paymentId } = await onHold()
    const key = randomUUID()
    const copies = valuesOf(await raceCopies(6, (copy) => (copy % 2 ? api : worker).capture(paymentId, key))).map(brief)
    expect(copies.filter((answer) => answer === 'answered 200')).not.toHaveLength(0)
    for (const answer of copies) expect(answer).toMatch(/^answered 200$|^refused (payment|request)-in-progress$/)
    const replays = valuesOf(await raceCopies(3, () => api.capture(paymentId, key)))
    expect(new Set(replays.map((replay) => JSON.stringify(replay))).size).toBe(1)
    expect(brief(replays[0] as (typeof replays)[0])).toBe('answered 200')
    expect(await ledgerOf(paymentId)).toEqual(captured)
  })

  it('with two keys happens once, and the other one is refused and binds nothing', async () => {
    const { paymentId } = await onHold()
    const answers = valuesOf(await raceCopies(4, (copy) => (copy % 2 ? api : worker).capture(paymentId))).map(brief)
    expect(answers.filter((answer) => answer === 'answered 200')).toHaveLength(1)
    for (const answer of answers)
      expect(answer).toMatch(/^answered 200$|^refused payment-(in-progress|not-authorized)$/)
    const keys = await shop.sql("SELECT 1 FROM idempotency_keys WHERE payment_id = $1 AND step = 'capture'", [
      paymentId,
    ])
    expect(keys).toHaveLength(1)
    expect(await ledgerOf(paymentId)).toEqual(captured)
  })

  it('a recorded answer costs one read, and a key that was used elsewhere is told so whatever the payment', async () => {
    const { replica, costOf } = await countingReplica(shop, 'counting')
    const { paymentId } = await onHold()
    const key = randomUUID()
    expect(brief(await api.capture(paymentId, key))).toBe('answered 200')
    const again = async () => brief(await replica.capture(paymentId, key))
    expect(await costOf(again)).toEqual({ result: 'answered 200', statements: 1 })
    expect(brief(await api.capture(randomUUID(), key))).toBe('refused idempotency-key-reused')
  })

  it('a key of a capture does not void, nor the reverse', async () => {
    const [one, other] = [await onHold(), await onHold()]
    const key = randomUUID()
    expect(brief(await api.capture(one.paymentId, key))).toBe('answered 200')
    expect(brief(await api.void(other.paymentId, key))).toBe('refused idempotency-key-reused')
    expect(await ledgerOf(other.paymentId)).toEqual(held)
  })
})

describe('a capture and a void at the same moment', () => {
  const order = [
    { first: 'capture', second: 'void', ledger: captured },
    { first: 'void', second: 'capture', ledger: givenBack },
  ] as const

  it.each(order)(
    '$first first: while it asks the gateway, the $second is refused',
    async ({ first, second, ledger }) => {
      const request = first === 'capture' ? 'captureIntent' : 'cancelIntent'
      const { replica, reached, goOn } = await pausedBefore(request, `paused-${first}`)
      const { paymentId } = await onHold()
      const winner = replica[first](paymentId)
      await reached.wait()
      expect(brief(await api[second](paymentId))).toBe('refused payment-in-progress')
      goOn.open()
      expect(brief(await winner)).toBe('answered 200')
      expect(brief(await api[second](paymentId))).toBe('refused payment-not-authorized')
      expect(await ledgerOf(paymentId)).toEqual(ledger)
    },
  )

  it.each(order)(
    '$first first, without any lock: both have read that it is on hold, and the compare-and-set alone decides',
    async ({ first, second, ledger }) => {
      const [secondHasRead, firstHasWon] = [
        createLatch(`${second} has read`, patience),
        createLatch(`${first} has won`, patience),
      ]
      const unlocked = (by: string, afterRead: () => Promise<void>) =>
        shop.replica(by, {
          layers: ({ transaction }): Partial<PaymentLayers> => ({
            redisLock: (_, work) => work(),
            advisoryLock: (_, __, work) => work(),
            transaction: hookedTransaction(transaction, {
              change: (text) => text.replace('FOR NO KEY UPDATE OF payments', ''),
              afterRead: (text) => (isAuthorizedRead(text) ? afterRead() : Promise.resolve()),
            }),
          }),
        })
      const winner = await unlocked(`winning-${first}`, () => secondHasRead.wait())
      const loser = await unlocked(`losing-${second}`, () => {
        secondHasRead.open()
        return firstHasWon.wait()
      })
      const { paymentId } = await onHold()
      const losing = loser[second](paymentId)
      expect(brief(await winner[first](paymentId))).toBe('answered 200')
      firstHasWon.open()
      expect(brief(await losing)).toBe('refused payment-not-authorized')
      expect(await ledgerOf(paymentId)).toEqual(ledger)
    },
  )
})

describe('a capture whose answer is lost', () => {
  it('is unsettled, is found by looking, and its key brings the one true answer', async () => {
    const { orderId, paymentId } = await onHold()
    const key = randomUUID()
    await shop.faults({ on: 'capture', kind: 'drop-after', rate: 1, metadata: { orderId } })
    expect(brief(await api.capture(paymentId, key))).toBe('unsettled')
    expect(brief(await api.capture(paymentId, key))).toBe('unsettled')
    expect(brief(await api.void(paymentId))).toBe('refused payment-in-progress')
    await recoverAll(paymentId)
    expect(brief(await api.capture(paymentId, key))).toBe('answered 200')
    expect(await ledgerOf(paymentId)).toEqual(captured)
  })

  it.each([
    { kind: 'error-after', captures: 1 },
    { kind: 'error-before', captures: 2 },
  ])('a 500 ($kind): asked again under the next key only if nothing had happened', async ({ kind, captures }) => {
    const { orderId, paymentId } = await onHold()
    await shop.faults({ on: 'capture', kind, rate: 1, times: 1, metadata: { orderId } })
    await api.capture(paymentId)
    await recoverAll(paymentId)
    expect(await paymentRow(paymentId)).toMatchObject({ state: 'succeeded' })
    expect(await shop.sql('SELECT capture_attempt FROM payments WHERE id = $1', [paymentId])).toEqual([
      { capture_attempt: captures },
    ])
    expect(await ledgerOf(paymentId)).toEqual(captured)
  })

  it('a paused capture that comes late, after recovery did it, takes nothing more and answers what is recorded', async () => {
    const { replica, reached, goOn } = await pausedBefore('captureIntent', 'zombie-1')
    const { paymentId } = await onHold()
    const key = randomUUID()
    const late = replica.capture(paymentId, key)
    await reached.wait()
    expect(brief(await api.capture(paymentId, key))).toBe('refused request-in-progress')
    await recoverAll(paymentId)
    goOn.open()
    expect(brief(await late)).toBe('answered 200')
    expect(await api.capture(paymentId, key)).toMatchObject({ kind: 'answered', replayed: true })
    expect(await ledgerOf(paymentId)).toEqual(captured)
  })
})

describe('a capture that the gateway refuses', () => {
  it('for good: nothing is taken, the code is told, and the order can be paid anew', async () => {
    const { orderId, paymentId } = await onHold('pm_card_seatbelt_captureFails')
    const key = randomUUID()
    const refused = await api.capture(paymentId, key)
    expect(brief(refused)).toBe('answered 402')
    expect(bodyOf(refused)).toMatchObject({ outcome: { state: 'voided', declineCode: 'charge_expired_for_capture' } })
    expect(await api.capture(paymentId, key)).toEqual({ ...refused, replayed: true })
    expect([await orderState(orderId), await shop.charges(orderId)]).toEqual(['pending', []])
    expect(brief(await api.pay(orderId))).toBe('answered 201')
  })

  const rejected = (errorCode: string) => ({
    ...({ kind: 'rejected', status: 400, about: 'request', message: null } as const),
    ...{ errorCode, requestId: 'req_1' },
  })

  it('for good, and still shows it on hold: it is fenced before it is called voided', async () => {
    const code = 'capture_charge_authorization_expired'
    const refusing = await shop.replica('api-2', gatewayThat({ captureIntent: async () => rejected(code) }))
    const { orderId, paymentId } = await onHold()
    expect(brief(await refusing.capture(paymentId))).toBe('answered 402')
    expect(await paymentRow(paymentId)).toMatchObject({ state: 'voided', decline_code: code })
    expect([await orderState(orderId), await ledgerOf(paymentId)]).toEqual(['pending', givenBack])
  })

  it('for any other reason: the hold stays, and is captured once the reason is gone', async () => {
    const refusing = await shop.replica(
      'api-3',
      gatewayThat({ captureIntent: async () => rejected('parameter_unknown') }),
    )
    const { paymentId } = await onHold()
    const key = randomUUID()
    expect(brief(await refusing.capture(paymentId, key))).toBe('unsettled')
    expect([await paymentRow(paymentId), await ledgerOf(paymentId)]).toEqual([
      expect.objectContaining({ state: 'capturing', goal: 'capture', decline_code: null }),
      held,
    ])
    await recoverAll(paymentId)
    expect(brief(await api.capture(paymentId, key))).toBe('answered 200')
  })
})

describe('a void that comes too late', () => {
  it('because somebody captured at the gateway: the money is booked, and the answer says so', async () => {
    const capturing = await shop.replica('api-4', {
      gateway: (real) => ({
        ...real,
        cancelIntent: async (id, key, account) => {
          await real.captureIntent(id, 'by-hand', account)
          return real.cancelIntent(id, key, account)
        },
      }),
    })
    const { orderId, paymentId } = await onHold()
    expect(brief(await capturing.void(paymentId))).toBe('answered 409')
    expect([await orderState(orderId), await ledgerOf(paymentId)]).toEqual(['paid', captured])
    expect(await shop.sql('SELECT kind FROM transfers WHERE payment_id = $1', [paymentId])).toHaveLength(1)
  })
})

describe('a void whose hold turns out to be gone', () => {
  it('is over once the gateway has cancelled what is left of it, and says why it was gone', async () => {
    const { orderId, paymentId } = await onHold()
    await shop.faults({ on: 'cancel', kind: 'drop-before', rate: 1, times: 1, metadata: { orderId } })
    expect(brief(await api.void(paymentId))).toBe('unsettled')
    const gone = await shop.replica('worker-3', {
      gateway: (real) => ({
        ...real,
        retrieveIntent: async (id) => {
          const answer = await real.retrieveIntent(id)
          if (answer.kind !== 'intent') return answer
          const intent = { ...answer.intent, status: 'requires_payment_method', declineCode: 'lost_card' } as const
          return { ...answer, intent }
        },
      }),
    })
    await letLeasesRunOut(shop)
    await recoverPayment(gone.deps, paymentId)
    expect(await paymentRow(paymentId)).toMatchObject({ state: 'voided', decline_code: 'lost_card' })
  })
})

describe('an authorization that nobody captures', () => {
  it('is given back in its own turn, however many others are due', async () => {
    const { paymentId } = await onHold()
    await shop.sql(`UPDATE payments SET void_at = now() - interval '1 second' WHERE id = $1`, [paymentId])
    const { paymentId: busy } = await onHold()
    await shop.faults({ on: 'capture', kind: 'drop-after', rate: 1, times: 1 })
    await api.capture(busy)
    await letLeasesRunOut(shop)
    expect(await recoverExpiredAuthorization(worker.deps)).toMatchObject({ payment: { id: paymentId } })
    expect(await paymentRow(paymentId)).toMatchObject({ state: 'voided' })
    expect(await recoverExpiredAuthorization(worker.deps)).toBeNull()
    await recoverAll(busy)
  })

  it('is left alone until its time has come, then given back by recovery: in many copies once', async () => {
    const { orderId, paymentId, payKey, authorized } = await onHold()
    await letTimePass(shop, '3 days 23 hours')
    expect(await recoverPayment(worker.deps, paymentId)).toBeNull()
    await letTimePass(shop, '2 hours')
    const copies = valuesOf(await raceCopies(6, (copy) => recoverPayment((copy % 2 ? api : worker).deps, paymentId)))
    expect(copies.filter(Boolean)).toHaveLength(1)
    expect(await paymentRow(paymentId)).toMatchObject({ state: 'voided', goal: 'void', generation: 2 })
    expect([await orderState(orderId), await ledgerOf(paymentId)]).toEqual(['pending', givenBack])
    expect(brief(await api.capture(paymentId))).toBe('refused payment-not-authorized')
    expect(await api.authorize(orderId, payKey)).toEqual({ ...authorized, replayed: true })
  })

  it('meets a capture: the first decides, and the capture is refused if it was second', async () => {
    const { paymentId } = await onHold()
    await letTimePass(shop, '5 days')
    const { replica: recovering, reached, goOn } = await pausedBefore('cancelIntent', 'worker-2')
    const recovery = recoverPayment(recovering.deps, paymentId)
    await reached.wait()
    expect(brief(await api.capture(paymentId))).toBe('refused payment-in-progress')
    goOn.open()
    await recovery
    expect(await ledgerOf(paymentId)).toEqual(givenBack)
  })

  it('meets a capture that has read the payment: recovery finds the row locked, and takes nothing', async () => {
    const [hasRead, goOn] = [createLatch('the capture has read', patience), createLatch('it goes on', patience)]
    const capturing = await shop.replica('api-5', {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text) => {
            if (!isAuthorizedRead(text)) return
            hasRead.open()
            await goOn.wait()
          },
        }),
      }),
    })
    const { paymentId } = await onHold()
    await letTimePass(shop, '5 days')
    const capture = capturing.capture(paymentId)
    await hasRead.wait()
    expect(await recoverPayment(worker.deps, paymentId)).toBeNull()
    goOn.open()
    expect(brief(await capture)).toBe('answered 200')
    expect(await ledgerOf(paymentId)).toEqual(captured)
  })
})

/** The read of a claim that captures or voids. */
function isAuthorizedRead(text: string): boolean {
  return text.includes('FOR NO KEY UPDATE OF payments') && !isSettleRead(text)
}

describe('a step that no answer settles', () => {
  it.each([
    { step: 'capture', request: 'capture', open: 'capturing', end: 'succeeded', ledger: captured },
    { step: 'void', request: 'cancel', open: 'voiding', end: 'voided', ledger: givenBack },
  ] as const)(
    'a $step is shown to a person a day after it was asked for, not after the hold began, and keeps what it is about',
    async ({ step, request, open, end, ledger }) => {
      const { orderId, paymentId } = await onHold()
      const key = randomUUID()
      await letTimePass(shop, '3 days')
      const broken = { kind: 'error-before', rate: 1, metadata: { orderId } }
      await shop.faults({ on: request, ...broken }, { on: 'retrieve', ...broken })
      expect(brief(await api[step](paymentId, key))).toBe('unsettled')
      await letLeasesRunOut(shop)
      await recoverPayment(worker.deps, paymentId)
      expect(await paymentRow(paymentId)).toMatchObject({ state: open, goal: step })

      await letTimePass(shop, '25 hours')
      await recoverPayment(worker.deps, paymentId)
      expect(await paymentRow(paymentId)).toMatchObject({ state: 'needs_review', goal: step })
      expect(brief(await api.capture(paymentId))).toBe('refused payment-in-review')

      // The pay's quarter of an hour is long over: what was asked for since is wanted all the same.
      await shop.faults()
      await recoverAll(paymentId)
      expect([await paymentRow(paymentId), await ledgerOf(paymentId)]).toEqual([
        expect.objectContaining({ state: end, goal: step }),
        ledger,
      ])
      expect(brief(await api[step](paymentId, key))).toBe('answered 200')
    },
  )
})
