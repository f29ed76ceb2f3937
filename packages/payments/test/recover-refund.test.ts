import { randomUUID } from 'node:crypto'
import { type Refund as RefundRow, sql } from '@seatbelt/database'
import { type Gateway, type RefundGateway, underLock } from '@seatbelt/safety'
import { createLatch, type Latch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPaymentOperations, orderLockName, recoverRefund } from '../src/index.ts'
import { applyLateEvidence } from '../src/refund/apply-late-evidence.ts'
import { reverseRefund } from '../src/refund/reverse-refund.ts'
import { countingReplica } from './counting-replica.ts'
import {
  bankDecides,
  booksOf,
  forgetKeys,
  letRefundLeasesRunOut,
  letRefundsAge,
  openPaid,
  openWebhookEndpoint,
  type Paid,
  recoverRefunds,
  refund,
  refundsAtGateway,
  toldAbout,
} from './refund-support.ts'
import { accountId, bodyOf, brief, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let api: Replica
let worker: Replica

beforeAll(async () => {
  // Banks change nothing by themselves: a test says when.
  shop = await openShop({ refundChangeMs: 3_600_000 })
  api = await shop.replica('api-1')
  worker = await shop.replica('worker-1')
  await openWebhookEndpoint(shop)
})
afterAll(() => shop?.close())
beforeEach(() => shop.faults())

type RefundRequest = keyof RefundGateway

/** What a replica does around its requests about refunds. */
type Around = <T>(name: RefundRequest, send: () => Promise<T>) => Promise<T>

function watch(real: Gateway, around: Around): Gateway {
  return {
    ...real,
    createRefund: (parameters, key) => around('createRefund', () => real.createRefund(parameters, key)),
    retrieveRefund: (id) => around('retrieveRefund', () => real.retrieveRefund(id)),
    listRefundsOf: (id) => around('listRefundsOf', () => real.listRefundsOf(id)),
  }
}

/** A replica that writes down what it sends. */
async function notingReplica(by: string) {
  const sent: RefundRequest[] = []
  const note: Around = (name, send) => {
    sent.push(name)
    return send()
  }
  return { replica: await shop.replica(by, { gateway: (real) => watch(real, note) }), sent }
}

/** Nobody means to run into it: machines are busy. */
const patience = { boundMs: 20_000 }

interface Stop {
  readonly request: RefundRequest
  readonly at: 'before' | 'after'
}

/** A replica that halts at one point until the test lets it go on: a paused process, as far as all others can see. */
async function pausedReplica(by: string, { request, at }: Stop) {
  const reached = createLatch(`${by} reached ${at} ${request}`, patience)
  const goOn = createLatch(`${by} goes on`, patience)
  const around = haltAt({ request, at, reached, goOn })
  return { replica: await shop.replica(by, { gateway: (real) => watch(real, around) }), reached, goOn }
}

function haltAt({ request, at, reached, goOn }: Stop & { reached: Latch; goOn: Latch }): Around {
  return async (name, send) => {
    const halt = async (moment: Stop['at']) => {
      if (name !== request || moment !== at) return
      reached.open()
      await goOn.wait()
    }
    await halt('before')
    const answer = await send()
    await halt('after')
    return answer
  }
}

const faultOn = ({ orderId }: Paid, on: string, kind: string, times = 1) => {
  return { on, kind, rate: 1, times, metadata: { orderId } }
}

const onlyRefund = async (paid: Paid) => {
  const { refunds } = await booksOf(shop, paid)
  expect(refunds).toHaveLength(1)
  return refunds[0] as (typeof refunds)[number]
}

async function rowOf(paid: Paid): Promise<RefundRow> {
  const { id } = await onlyRefund(paid)
  return api.database.statement((client) => client.refund.findUniqueOrThrow({ where: { id } }))
}

describe('an answer that was lost after the refund', () => {
  it('leaves the refund processing; recovery finds ours in the list and does not ask again', async () => {
    const paid = await openPaid(api)
    const key = randomUUID()
    await shop.faults(faultOn(paid, 'refund', 'drop-after'))
    expect(brief(await refund(api, paid.paymentId, 1_000, key))).toBe('unsettled')
    expect(brief(await refund(api, paid.paymentId, 1_000, key))).toBe('unsettled')
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'paid', refunded: 0, pending: 1_000 })
    // Somebody else's refund of the same payment stands in the list as well.
    expect(brief(await refund(api, paid.paymentId, 1_000))).toBe('answered 201')
    const { replica, sent } = await notingReplica('worker-2')
    await recoverRefunds(shop, paid, replica)
    expect(sent).toEqual(['listRefundsOf'])
    expect(brief(await refund(api, paid.paymentId, 1_000, key))).toBe('answered 201')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(2)
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'partially_refunded', refunded: 2_000, pending: 0 })
  })

  it('or before it: the list does not have ours, and the same key is sent again', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-before'))
    await refund(api, paid.paymentId)
    const { replica, sent } = await notingReplica('worker-3')
    await recoverRefunds(shop, paid, replica)
    expect(sent).toEqual(['listRefundsOf', 'createRefund'])
    expect(await onlyRefund(paid)).toMatchObject({ state: 'succeeded', attempt: 1 })
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('and a list that is lost too proves nothing: nobody asks again', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-after'), faultOn(paid, 'list-refunds', 'drop-after'))
    await refund(api, paid.paymentId)
    const { replica, sent } = await notingReplica('worker-4')
    await letRefundLeasesRunOut(shop, paid)
    expect((await recoverRefund(replica.deps))?.result.kind).toBe('unsettled')
    expect(sent).toEqual(['listRefundsOf'])
    await recoverRefunds(shop, paid, replica)
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })
})

describe('a 500 that the gateway records and repeats', () => {
  it('after the refund: it is found in the list, and the caller hears of it at once', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'error-after'))
    expect(brief(await refund(api, paid.paymentId))).toBe('answered 201')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('without the refund: after a repetition and a look, the next key is used', async () => {
    const paid = await openPaid(api)
    const key = randomUUID()
    await shop.faults(faultOn(paid, 'refund', 'error-before'))
    expect(brief(await refund(api, paid.paymentId, 500, key))).toBe('unsettled')
    expect(await onlyRefund(paid)).toMatchObject({ state: 'processing', attempt: 2 })
    await recoverRefunds(shop, paid, worker)
    expect(brief(await refund(api, paid.paymentId, 500, key))).toBe('answered 201')
    expect(await refundsAtGateway(shop, paid.orderId)).toMatchObject([{ amountMinor: 500, status: 'succeeded' }])
  })
})

describe('a refund that the bank takes its time for', () => {
  it('then succeeds: the caller heard pending, and hears the same ever after; the refund itself tells the rest', async () => {
    const paid = await openPaid(api, 'pm_card_pendingRefund')
    const key = randomUUID()
    const first = await refund(api, paid.paymentId, 1_000, key)
    expect(brief(first)).toBe('answered 201')
    const { outcome, refundId } = bodyOf<{ outcome: { gatewayRefundId: string }; refundId: string }>(first)
    expect(outcome).toMatchObject({ state: 'pending' })
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'paid', refunded: 0, pending: 1_000, transfers: [] })
    expect(await toldAbout(shop, refundId)).toEqual([])

    // Nobody looks for the next minutes: a bank is slow, and its word will come.
    expect(await recoverRefund(worker.deps)).toBeNull()
    await letRefundLeasesRunOut(shop, paid)
    const { replica, sent } = await notingReplica('worker-5')
    expect((await recoverRefund(replica.deps))?.refund.state).toBe('pending')
    await bankDecides(shop, outcome.gatewayRefundId, 'succeed')
    await letRefundLeasesRunOut(shop, paid)
    const recorded = { kind: 'answered', answer: first.kind === 'answered' ? first.answer : null, replayed: true }
    expect((await recoverRefund(replica.deps))?.result).toEqual(recorded)
    expect(sent).toEqual(['retrieveRefund', 'retrieveRefund'])
    expect(await booksOf(shop, paid)).toMatchObject({
      ...{ order: 'partially_refunded', refunded: 1_000, pending: 0 },
      transfers: [{ kind: 'refund', amount: 1_000 }],
    })
    expect(await toldAbout(shop, refundId)).toEqual(['refund.succeeded'])
    expect(await refund(api, paid.paymentId, 1_000, key)).toEqual(recorded)

    const payment = await createPaymentOperations(api.deps).findPayment(accountId, paid.paymentId)
    const lines = payment?.events.filter((event) => event.refundId === refundId).map(({ event }) => event)
    // The look that brought nothing new left no line.
    expect(lines).toEqual(['claimed', 'refund', 'settled', 'refund-look', 'settled'])
  })

  it('then fails: what it had reserved is free again, and nothing was booked', async () => {
    const paid = await openPaid(api, 'pm_card_pendingRefund')
    await refund(api, paid.paymentId)
    expect(brief(await refund(api, paid.paymentId, 1))).toBe('refused refund-exceeds-payment')
    await bankDecides(shop, (await onlyRefund(paid)).gatewayRefundId ?? '', 'fail')
    await letRefundLeasesRunOut(shop, paid)
    await recoverRefund(worker.deps)
    expect(await booksOf(shop, paid)).toMatchObject({
      ...{ order: 'paid', refunded: 0, pending: 0, transfers: [] },
      refunds: [{ state: 'failed', failureCode: 'expired_or_canceled_card' }],
    })
    expect(brief(await refund(api, paid.paymentId, 1))).toBe('answered 201')
  })

  it('is never a matter for a person, however long it takes', async () => {
    const paid = await openPaid(api, 'pm_card_pendingRefund')
    await refund(api, paid.paymentId)
    await shop.faults(faultOn(paid, 'retrieve-refund', 'error-before', 99))
    await letRefundsAge(shop, paid, '9 days')
    expect((await recoverRefund(worker.deps))?.result.kind).toBe('unsettled')
    expect(await onlyRefund(paid)).toMatchObject({ state: 'pending' })
  })
})

it('a refund that a silent gateway leaves open has a line for what is new, and not for each look', async () => {
  const paid = await openPaid(api)
  await shop.faults(faultOn(paid, 'refund', 'drop-after'), faultOn(paid, 'list-refunds', 'error-before', 99))
  await refund(api, paid.paymentId)
  const { id } = await onlyRefund(paid)
  const look = async (times: number) => {
    for (let looks = 0; looks < times; looks++) {
      await letRefundLeasesRunOut(shop, paid)
      expect((await recoverRefund(worker.deps, id))?.result.kind).toBe('unsettled')
    }
    return shop.sql('SELECT id, event, detail FROM payment_events WHERE refund_id = $1 ORDER BY id', [id])
  }
  expect(await look(12)).toEqual(await look(12))
  await shop.faults()
  await recoverRefunds(shop, paid, worker)
})

describe('a refund that had succeeded, and fails days later', () => {
  async function tell(replica: Replica, row: RefundRow): Promise<unknown> {
    const outcome = { state: 'failed', failureCode: 'declined', gatewayRefundId: row.gatewayRefundId } as const
    return underLock(replica.deps.layers, orderLockName(row), async (tx) => {
      const [now = row] = await tx.read<RefundRow>(sql`SELECT refunds.* FROM refunds WHERE id = ${row.id}::uuid`)
      return applyLateEvidence(replica.deps, tx, now, { outcome, requestLog: [] })
    })
  }

  it('is taken back once, whoever tells it and however often: amounts, order and transfer', async () => {
    const paid = await openPaid(api, 'pm_card_refundFail')
    const key = randomUUID()
    await refund(api, paid.paymentId, null, key)
    const row = await rowOf(paid)
    const { id } = row
    await bankDecides(shop, row.gatewayRefundId ?? '', 'fail')
    const told = valuesOf(await raceCopies(4, (copy) => tell(copy % 2 ? api : worker, row)))
    expect(told.sort()).toEqual(['agrees', 'agrees', 'agrees', 'reversed'])
    expect(await booksOf(shop, paid)).toMatchObject({
      ...{ order: 'paid', refunded: 0, pending: 0 },
      refunds: [{ state: 'failed', failureCode: 'declined' }],
      transfers: [
        { kind: 'refund', debit: `merchant:${accountId}`, credit: 'gateway', amount: 4_200 },
        { kind: 'refund_reversal', debit: 'gateway', credit: `merchant:${accountId}`, amount: 4_200 },
      ],
    })
    expect(await toldAbout(shop, id)).toEqual(['refund.succeeded', 'refund.reversed'])
    expect(brief(await refund(api, paid.paymentId, null, key))).toBe('answered 201')
    const shown = await createPaymentOperations(api.deps).findRefund(accountId, id)
    expect(shown).toMatchObject({ state: 'failed', settledAt: row.settledAt, reversedAt: expect.any(Date) })
    // And the customer can be given the money another time.
    expect(brief(await refund(api, paid.paymentId, 200))).toBe('answered 201')
  })

  it('is taken back once also by those who read it before it was, and never while it is open', async () => {
    const reverse = (row: RefundRow) =>
      api.database.transaction((tx) => reverseRefund(api.deps, tx, row, { failureCode: 'declined', requestLog: [] }))
    const paid = await openPaid(api)
    await refund(api, paid.paymentId)
    const before = await rowOf(paid)
    await reverse(before)
    await expect(reverse(before)).rejects.toMatchObject({ guard: 'refund-generation' })
    expect((await booksOf(shop, paid)).transfers).toHaveLength(2)

    const open = await openPaid(api, 'pm_card_pendingRefund')
    await refund(api, open.paymentId)
    await expect(reverse(await rowOf(open))).rejects.toMatchObject({ guard: 'refund-generation' })
    expect(await booksOf(shop, open)).toMatchObject({ refunded: 0, pending: 4_200, refunds: [{ state: 'pending' }] })
  })

  it('is taken back also if only a deposed owner saw it', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-after'))
    await refund(api, paid.paymentId)
    const zombie = await pausedReplica('worker-6', { request: 'listRefundsOf', at: 'before' })
    await letRefundLeasesRunOut(shop, paid)
    const late = recoverRefund(zombie.replica.deps)
    await zombie.reached.wait()
    await recoverRefunds(shop, paid, worker)
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200 })
    await bankDecides(shop, (await onlyRefund(paid)).gatewayRefundId ?? '', 'fail')
    zombie.goOn.open()
    await late
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'paid', refunded: 0, refunds: [{ state: 'failed' }] })
    expect(zombie.replica.faults).toEqual([])
  })
})

describe('an owner that is paused until its lease is over', () => {
  it('before it asks: recovery refunds, and the late request under the same key gives nothing more', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-1', { request: 'createRefund', at: 'before' })
    const paid = await openPaid(api)
    const late = refund(replica, paid.paymentId, 1_000)
    await reached.wait()
    await recoverRefunds(shop, paid, worker)
    expect(await onlyRefund(paid)).toMatchObject({ state: 'succeeded', generation: 2 })
    goOn.open()
    expect(brief(await late)).toBe('answered 201')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 1_000, pending: 0, transfers: [{ kind: 'refund' }] })
    expect(replica.faults).toEqual([])
  })

  it('after it was answered, and another owner is at work: it settles nothing, and leaves that one its lease', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-5', { request: 'createRefund', at: 'after' })
    const owner = await pausedReplica('worker-9', { request: 'listRefundsOf', at: 'before' })
    const paid = await openPaid(api)
    const late = refund(replica, paid.paymentId)
    await reached.wait()
    await letRefundLeasesRunOut(shop, paid)
    const recovery = recoverRefund(owner.replica.deps)
    await owner.reached.wait()
    goOn.open()
    expect(brief(await late)).toBe('unsettled')
    expect(await onlyRefund(paid)).toMatchObject({ state: 'processing', generation: 2 })
    expect(await recoverRefund(worker.deps)).toBeNull()
    owner.goOn.open()
    expect((await recovery)?.result.kind).toBe('answered')
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', transfers: [{ kind: 'refund' }] })
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('after it was answered, and another owner then gives up: that one leaves no pause', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-7', { request: 'createRefund', at: 'after' })
    const owner = await pausedReplica('worker-10', { request: 'listRefundsOf', at: 'before' })
    const paid = await openPaid(api)
    const late = refund(replica, paid.paymentId)
    await reached.wait()
    await letRefundLeasesRunOut(shop, paid)
    await shop.faults(faultOn(paid, 'list-refunds', 'drop-before'))
    const recovery = recoverRefund(owner.replica.deps)
    await owner.reached.wait()
    goOn.open()
    expect(brief(await late)).toBe('unsettled')
    owner.goOn.open()
    expect((await recovery)?.result.kind).toBe('unsettled')
    expect((await recoverRefund(worker.deps))?.result.kind).toBe('answered')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('after it was answered, and another owner has given up: it has recovery look at once', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-6', { request: 'createRefund', at: 'after' })
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'list-refunds', 'drop-before'))
    const late = refund(replica, paid.paymentId)
    await reached.wait()
    await letRefundLeasesRunOut(shop, paid)
    expect((await recoverRefund(worker.deps))?.result.kind).toBe('unsettled')
    await shop.sql(`UPDATE refunds SET next_attempt_at = now() + interval '1 hour' WHERE payment_id = $1`, [
      paid.paymentId,
    ])
    goOn.open()
    expect(brief(await late)).toBe('unsettled')
    expect((await recoverRefund(worker.deps))?.result.kind).toBe('answered')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  it('what is not guaranteed: with a gateway that forgot the key, it gives again, within the charge, and a person hears of it', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-2', { request: 'createRefund', at: 'before' })
    const paid = await openPaid(api)
    const late = refund(replica, paid.paymentId, 1_000)
    await reached.wait()
    await recoverRefunds(shop, paid, worker)
    await forgetKeys(shop)
    goOn.open()
    await late
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(2)
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 1_000, pending: 0 })
    expect(replica.faults).toMatchObject([
      { message: expect.stringContaining('is succeeded, and the gateway gave it') },
    ])
  })

  it('and gives what was called failed meanwhile: it is told to a person, and the caller hears what is recorded', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-3', { request: 'createRefund', at: 'before' })
    const refused = {
      kind: 'rejected',
      status: 400,
      errorCode: 'not_today',
      about: 'state',
      message: null,
      requestId: null,
    } as const
    const refusing = await shop.replica('worker-7', {
      gateway: (real) => ({ ...real, createRefund: () => Promise.resolve(refused) }),
    })
    const paid = await openPaid(api)
    const late = refund(replica, paid.paymentId)
    await reached.wait()
    await recoverRefunds(shop, paid, refusing)
    expect(await onlyRefund(paid)).toMatchObject({ state: 'failed', failureCode: 'not_today', gatewayRefundId: null })
    goOn.open()
    expect(brief(await late)).toBe('answered 402')
    expect(replica.faults).toMatchObject([{ message: expect.stringContaining('is failed, and the gateway gave it') }])
  })
})

describe('a refund that no answer ever settles', () => {
  it('is asked for no more when its key may be forgotten, is shown to a person after a day, and ends with the evidence', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-before'))
    await refund(api, paid.paymentId)
    const { replica, sent } = await notingReplica('worker-8')
    await letRefundsAge(shop, paid, '23 hours 30 minutes')
    expect((await recoverRefund(replica.deps))?.result.kind).toBe('unsettled')
    expect(await onlyRefund(paid)).toMatchObject({ state: 'processing' })
    await letRefundsAge(shop, paid, '1 hour')
    await recoverRefund(replica.deps)
    expect(sent).toEqual(['listRefundsOf', 'listRefundsOf'])
    expect(await onlyRefund(paid)).toMatchObject({ state: 'needs_review' })
    expect(brief(await refund(api, paid.paymentId))).toBe('refused refund-exceeds-payment')

    // The request that was thought lost arrives after all, or a person repeats it by hand.
    await repeatByHand(await rowOf(paid))
    await recoverRefunds(shop, paid, replica)
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
  })

  async function repeatByHand({
    gatewayKey,
    gatewayIntentId: intentId,
    amountMinor,
    orderId,
  }: RefundRow): Promise<void> {
    let port: Gateway | undefined
    await shop.replica('by-hand', {
      gateway: (real) => {
        port = real
        return real
      },
    })
    await port?.createRefund(
      { intentId, amountMinor, metadata: { refundId: gatewayKey ?? '', orderId, accountId } },
      randomUUID(),
    )
  }
})

describe('a refund that cannot be settled', () => {
  it('waits for a person after a day, and is settled once the cause is repaired', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-after'))
    expect(brief(await refund(api, paid.paymentId))).toBe('unsettled')
    const { id } = await onlyRefund(paid)
    const setOrder = (state: string) =>
      shop.sql('UPDATE orders SET state = $1::order_state, version = version + 1 WHERE id = $2', [state, paid.orderId])
    const { replica } = await notingReplica('worker-9')
    await setOrder('pending')

    await letRefundLeasesRunOut(shop, paid)
    await expect(recoverRefund(replica.deps, id)).rejects.toThrow('is pending while its payment is refunded')
    expect(await onlyRefund(paid)).toMatchObject({ state: 'processing' })
    await letRefundsAge(shop, paid, '25 hours')
    const recovered = await recoverRefund(replica.deps, id)
    expect(recovered?.result).toMatchObject({ kind: 'unsettled', subject: { state: 'needs_review' } })
    expect(await lastLine(id)).toEqual({
      ...{ event: 'unknown', detail: 'succeeded could not be recorded, which the log explains' },
    })
    expect(replica.faults.map(String)).toContain(`Error: refund ${id} waits for a person: npm run review`)

    await letRefundLeasesRunOut(shop, paid)
    expect((await recoverRefund(replica.deps, id))?.result.kind).toBe('unsettled')
    await setOrder('paid')
    await letRefundLeasesRunOut(shop, paid)
    expect((await recoverRefund(replica.deps, id))?.result).toMatchObject({ kind: 'answered' })
    expect(await lastLine(id)).toEqual({ event: 'settled', detail: 'succeeded' })
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200, pending: 0 })
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })

  async function lastLine(refundId: string) {
    const [line] = await shop.sql<{ event: string; detail: string }>(
      'SELECT event, detail FROM payment_events WHERE refund_id = $1 ORDER BY id DESC LIMIT 1',
      [refundId],
    )
    return line
  }
})

describe('two recoveries at once', () => {
  it('take one refund once: the other finds nothing due', async () => {
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-after'))
    await refund(api, paid.paymentId)
    await letRefundLeasesRunOut(shop, paid)
    const taken = await Promise.all([recoverRefund(worker.deps), recoverRefund(api.deps)])
    expect(taken.filter(Boolean)).toHaveLength(1)
  })
})

describe('a retry with the same key', () => {
  it('costs one statement besides the read of the key where the owner gave up, and none once it is answered', async () => {
    const { replica, costOf } = await countingReplica(shop, 'counting')
    const paid = await openPaid(api)
    const key = randomUUID()
    await shop.faults(faultOn(paid, 'refund', 'drop-after'))
    await refund(api, paid.paymentId, 700, key)
    const again = async () => brief(await refund(replica, paid.paymentId, 700, key))
    expect(await costOf(again)).toEqual({ result: 'unsettled', statements: 2 })
    await recoverRefunds(shop, paid, worker)
    expect(await costOf(again)).toEqual({ result: 'answered 201', statements: 1 })
  })

  it('while the owner lives is refused, and recovers the refund itself once the owner is dead', async () => {
    const { replica, reached, goOn } = await pausedReplica('zombie-4', { request: 'createRefund', at: 'before' })
    const paid = await openPaid(api)
    const key = randomUUID()
    const late = refund(replica, paid.paymentId, 700, key)
    await reached.wait()
    expect(brief(await refund(api, paid.paymentId, 700, key))).toBe('refused request-in-progress')
    await letRefundLeasesRunOut(shop, paid)
    expect(brief(await refund(api, paid.paymentId, 700, key))).toBe('answered 201')
    goOn.open()
    expect(brief(await late)).toBe('answered 201')
    expect(await refundsAtGateway(shop, paid.orderId)).toHaveLength(1)
  })
})

describe('a hint that came while the owner was at work', () => {
  it('has recovery look at once when the owner gives up', async () => {
    const { replica, reached, goOn } = await pausedReplica('hinted', { request: 'createRefund', at: 'before' })
    const paid = await openPaid(api)
    await shop.faults(faultOn(paid, 'refund', 'drop-after'))
    const asking = refund(replica, paid.paymentId)
    await reached.wait()
    await shop.sql(`UPDATE refunds SET wake_requested = true WHERE payment_id = $1`, [paid.paymentId])
    goOn.open()
    expect(brief(await asking)).toBe('unsettled')
    expect(brief((await recoverRefund(worker.deps))?.result ?? { kind: 'unsettled', subject: null })).toBe(
      'answered 201',
    )
  })
})
