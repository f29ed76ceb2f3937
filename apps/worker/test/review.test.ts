import { randomUUID } from 'node:crypto'
import {
  cancelMissingPayment,
  countOrphans,
  createPaymentOperations,
  createStripeGateway,
  failMissingRefund,
  knownAccount,
  LearnedAccount,
  listInReview,
  recoverPayment,
  recoverRefund,
  reviewAsOperator,
} from '@seatbelt/payments'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bookingIn, insertHold, openBoxOffice } from '../../../packages/booking/test/box-office.ts'
import { dispute } from '../../../packages/payments/test/dispute-support.ts'
import { booksOf, letRefundsAge, openPaid, type Paid, refund } from '../../../packages/payments/test/refund-support.ts'
import {
  accountId,
  brief,
  letTimePass,
  openShop,
  type Replica,
  type ReplicaParts,
  type Shop,
} from '../../../packages/payments/test/shop.ts'
import { measureOpenWork } from '../src/measure-open-work.ts'
import { describeInReview } from '../src/review/describe-in-review.ts'
import { describeEnd, describeReview } from '../src/review/describe-review.ts'
import { showOrphans } from '../src/show-orphans.ts'

let shop: Shop
let replica: Replica
beforeAll(async () => {
  shop = await openShop()
  replica = await shop.replica('worker-1')
})
beforeEach(() => shop.faults())
const others: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const close of others) await close()
  await shop?.close()
})

it('what waits for a person is listed over all accounts, with what is known and what to do, and is looked at on request', async () => {
  const none = { orphans: 0, receipts: 0 }
  expect(describeInReview(await listInReview(replica), new Date(), none)).toBe('Nothing waits for a person.\n')
  expect(describeInReview([], new Date(), { orphans: 2, receipts: 1 })).toBe(
    '2 orphans wait for a person: npm run review -- orphans\n1 receipt was given up: npm run review -- receipts\n',
  )
  const [{ paymentId }, { refundId }] = [await paymentInReview(), await refundInReview()]

  const listed = describeInReview(await listInReview(replica), new Date(), { orphans: 1, receipts: 0 })
  expect(listed).toMatch(/^1 payment and 1 refund wait for a person/)
  expect(listed).toMatch(/1 orphan waits for a person: npm run review -- orphans\n$/)
  expect(listed).toMatch(new RegExp(`payment ${paymentId}\\n {2}open for {3}25 h`))
  expect(listed).toMatch(/unknown: .*\(worker-1/)
  expect(listed).toContain(`npm run review -- ${paymentId}`)
  expect(listed).toContain(`npm run review -- ${refundId}`)

  const still = describeReview(paymentId, await reviewAsOperator(replica.deps, paymentId))
  expect(still).toEqual({ exitCode: 0, text: expect.stringContaining('is needs_review still (server-error (500))') })
  await shop.faults()
  const ended = describeReview(paymentId, await reviewAsOperator(replica.deps, paymentId))
  expect(ended).toEqual({ exitCode: 0, text: `Looked: payment ${paymentId} is cancelled.\n` })
  const again = describeReview(paymentId, await reviewAsOperator(replica.deps, paymentId))
  expect(again).toEqual({ exitCode: 1, text: expect.stringContaining('is cancelled, and waits for nobody') })

  const looked = describeReview(refundId, await reviewAsOperator(replica.deps, refundId))
  expect(looked).toMatchObject({ exitCode: 0, text: expect.stringContaining(`Looked: refund ${refundId} is `) })

  const nobodys = '0192f000-0000-7000-8000-000000000000'
  expect(describeReview(nobodys, await reviewAsOperator(replica.deps, nobodys))).toMatchObject({ exitCode: 2 })
})

type Gateway = Parameters<NonNullable<ReplicaParts['gateway']>>[0]

/** The gateway as a replica has it, with some of its answers replaced. */
async function operatorWith(replaced: (real: Gateway) => Partial<Gateway> = () => ({})) {
  let gateway: Gateway | undefined
  const operator = await shop.replica('review', {
    gateway: (real) => {
      gateway = { ...real, ...replaced(real) }
      return gateway
    },
  })
  if (!gateway) throw new Error('a replica has no gateway')
  return { payments: operator.deps, gateway, command: 'npm run review -- ID --flag' }
}

async function linesOf(paymentId: string): Promise<string[]> {
  const rows = await shop.sql<{ line: string }>(
    `SELECT concat_ws(': ', event, detail) AS line FROM payment_events WHERE payment_id = $1 ORDER BY id DESC LIMIT 2`,
    [paymentId],
  )
  return rows.map(({ line }) => line)
}

describe('a refund that nobody ever asked for', () => {
  it('is failed by the operator once the whole list does not have it, and what it reserved is free again', async () => {
    const { paid, refundId } = await refundInReview()
    expect(brief(await refund(replica, paid.paymentId, 4_200))).toBe('refused refund-exceeds-payment')
    const end = await failMissingRefund(await operatorWith(), refundId)
    expect(describeEnd('refund', refundId, end)).toEqual({
      exitCode: 0,
      text: `Done: refund ${refundId} is failed: given-up.\n`,
    })
    expect(await linesOf(paid.paymentId)).toEqual(['settled: failed', 'operator: npm run review -- ID --flag'])
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'paid', refunded: 0, pending: 0 })
    expect(brief(await refund(replica, paid.paymentId, 4_200))).toBe('answered 201')
    expect(await failMissingRefund(await operatorWith(), refundId)).toMatchObject({ kind: 'not-looked' })
  })

  it.each<[string, (real: Gateway) => Partial<Gateway>, string]>([
    ['there are more than one page shows', withMore, 'there are more refunds than one page shows'],
    ['the list is not answered', withoutList, 'connection'],
  ])('is left as it is where %s', async (_, replaced, saw) => {
    const { paid, refundId } = await refundInReview()
    expect(await failMissingRefund(await operatorWith(replaced), refundId)).toEqual({
      ...{ kind: 'left', state: 'needs_review', saw },
    })
    expect(await booksOf(shop, paid)).toMatchObject({ pending: 1_000, refunds: [{ state: 'needs_review' }] })
  })

  it('is left as it is while a request for it may be on its way', async () => {
    const { paid, refundId } = await refundInReview()
    await shop.sql(`UPDATE refunds SET attempt_since = now() - interval '23 hours 30 minutes' WHERE id = $1`, [
      refundId,
    ])
    expect(await failMissingRefund(await operatorWith(), refundId)).toMatchObject({
      ...{ kind: 'not-looked', why: expect.stringContaining('less than a day ago') },
    })
    expect(await booksOf(shop, paid)).toMatchObject({ pending: 1_000, refunds: [{ state: 'needs_review' }] })
  })

  it('that is there after all is settled as it is', async () => {
    const { paid, refundId } = await refundInReview()
    const operator = await operatorWith()
    const [row] = await shop.sql<{ orderId: string; intentId: string; name: string }>(
      'SELECT order_id AS "orderId", gateway_intent_id AS "intentId", gateway_key AS name FROM refunds WHERE id = $1',
      [refundId],
    )
    const metadata = { refundId: row?.name ?? '', orderId: row?.orderId ?? '', accountId }
    await operator.gateway.createRefund({ intentId: row?.intentId ?? '', amountMinor: 1_000, metadata }, 'by hand')
    expect(await failMissingRefund(operator, refundId)).toEqual({ kind: 'ended', state: 'succeeded', code: null })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 1_000, pending: 0 })
  })
})

function withMore(real: Gateway): Partial<Gateway> {
  return {
    listRefundsOf: async (id) => {
      const answer = await real.listRefundsOf(id)
      return answer.kind === 'list' ? { ...answer, hasMore: true } : answer
    },
  }
}

function withoutList(): Partial<Gateway> {
  return {
    listRefundsOf: async () => ({
      ...{ kind: 'unknown', reason: 'connection' },
      ...{ status: null, replayed: false, requestId: null },
    }),
  }
}

it('a refund that the gateway has lost while its bank took five weeks waits for a person', async () => {
  const paid = await openPaid(replica, 'pm_card_pendingRefund')
  await refund(replica, paid.paymentId, 1_000)
  const [row] = await shop.sql<{ id: string; state: string }>(
    'SELECT id, state::text FROM refunds WHERE payment_id = $1',
    [paid.paymentId],
  )
  expect(row?.state).toBe('pending')
  const refundId = row?.id ?? ''
  const forgetful = await operatorWith(() => ({ retrieveRefund: async () => rejected(404, 'resource_missing') }))
  await letRefundsAge(shop, paid, '34 days')
  await recoverRefund(forgetful.payments, refundId)
  expect(await booksOf(shop, paid)).toMatchObject({ refunds: [{ state: 'pending' }] })
  await letRefundsAge(shop, paid, '2 days')
  await recoverRefund(forgetful.payments, refundId)
  expect(await booksOf(shop, paid)).toMatchObject({ pending: 1_000, refunds: [{ state: 'needs_review' }] })
  expect(await failMissingRefund(forgetful, refundId)).toEqual({ kind: 'ended', state: 'failed', code: 'given-up' })
  expect(await booksOf(shop, paid)).toMatchObject({ order: 'paid', refunded: 0, pending: 0 })
})

it('the metrics show the oldest open payment and refund, and how many wait for a person', async () => {
  const registry = new Registry()
  measureOpenWork(replica.database, registry)
  const values = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values ?? []
  const before = await values('payments_in_review')
  await paymentInReview()
  await refundInReview()
  const countOf = (found: typeof before, kind: string) => found.find(({ labels }) => labels.kind === kind)?.value ?? -1
  const after = await values('payments_in_review')
  for (const kind of ['payment', 'refund']) expect(countOf(after, kind)).toBe(countOf(before, kind) + 1)
  const oldest = await values('payments_oldest_open_seconds')
  const ageOf = (kind: string, state: string) =>
    oldest.find(({ labels }) => labels.kind === kind && labels.state === state)?.value
  expect(ageOf('payment', 'needs_review')).toBeGreaterThanOrEqual(25 * 3_600)
  expect(ageOf('refund', 'needs_review')).toBeGreaterThanOrEqual(25 * 3_600)
  expect(ageOf('payment', 'capturing')).toBe(0)
  expect(oldest).toHaveLength(7)
})

it('the metrics show how many orphans wait for a person, and the last count while it cannot be read', async () => {
  const registry = new Registry()
  let isAway = false
  showOrphans(registry, async () => {
    if (isAway) throw new Error('the database is away')
    return countOrphans(replica.deps)
  })
  const shown = async () => (await registry.getSingleMetric('orphans_open')?.get())?.values[0]?.value
  expect(await shown()).toBe(0)
  const insert = (id: string) =>
    shop.sql(
      `INSERT INTO orphans (id, kind, gateway_intent_id, seen, why, found_by)
       VALUES ($1, 'payment', $2, 'succeeded', 'its order is not there', 'worker-1')`,
      [id, `pi_${id}`],
    )
  const ids = [randomUUID(), randomUUID()] as const
  for (const id of ids) await insert(id)
  expect(await shown()).toBe(2)
  await shop.sql(
    `UPDATE orphans SET resolved_at = now(), resolution = 'dismissed', resolved_by = 'ada', resolution_reason = 'seen'
      WHERE id = $1`,
    [ids[0]],
  )
  expect(await shown()).toBe(1)
  isAway = true
  expect(await shown()).toBe(1)
})

it('the metrics count the checkouts without seats whose refund failed, until the money is refunded', async () => {
  const registry = new Registry()
  measureOpenWork(replica.database, registry)
  const owing = async () => (await registry.getSingleMetric('checkouts_owing_money')?.get())?.values[0]?.value
  expect(await owing()).toBe(0)
  const paid = await openPaid(replica)
  await refund(replica, paid.paymentId, 1_000)
  // As the refund of a checkout's payment that was taken for seats that were gone.
  await shop.sql(`UPDATE orders SET purpose = 'checkout', version = version + 1 WHERE id = $1`, [paid.orderId])
  await shop.sql(
    `WITH failed AS (
       UPDATE refunds SET state = 'failed', failure_code = 'declined', reversed_at = now() WHERE payment_id = $1)
     UPDATE payments SET refunded_minor = 0 WHERE id = $1`,
    [paid.paymentId],
  )
  expect(await owing()).toBe(1)
  await shop.sql('UPDATE payments SET refunded_minor = 4200 WHERE id = $1', [paid.paymentId])
  expect(await owing()).toBe(0)
})

it('the metrics count a cancelled booking whose lost dispute was won by appeal, until it is refunded', async () => {
  const office = await openBoxOffice()
  others.push(() => office.close())
  const api = await office.open('booking-api-1')
  const registry = new Registry()
  measureOpenWork(api.replica.database, registry)
  const owing = async () => (await registry.getSingleMetric('checkouts_owing_money')?.get())?.values[0]?.value
  const event = await office.newEvent()
  const { id, paymentId } = bookingIn(await api.checkOut(await insertHold(office, event, { seatIds: event.seatIds })))
  const opened = await dispute(office, { paymentId })
  await opened.step('lose')
  await opened.deliver(api.replica, 'closed')
  await api.cancel(id)
  expect(await owing()).toBe(0)
  await opened.step('reinstate')
  await opened.deliver(api.replica, 'funds_reinstated')
  expect(await owing()).toBe(1)
  expect(brief(await refund(api.replica, paymentId))).toBe('answered 201')
  expect(await owing()).toBe(0)
})

describe('a payment whose intent the gateway does not have', () => {
  const missing = () => operatorWith(() => ({ retrieveIntent: async () => rejected(404, 'resource_missing') }))

  it('is cancelled by the operator, and its order can be paid anew', async () => {
    const { orderId, paymentId } = await paymentInReview()
    await shop.faults()
    const end = await cancelMissingPayment(await missing(), paymentId)
    expect(describeEnd('payment', paymentId, end)).toEqual({
      exitCode: 0,
      text: `Done: payment ${paymentId} is cancelled.\n`,
    })
    expect(await linesOf(paymentId)).toEqual(['settled: cancelled', 'operator: npm run review -- ID --flag'])
    expect(brief(await replica.pay(orderId))).toBe('answered 201')
  })

  it('and only then: what it shows, refuses for another reason or does not answer leaves it', async () => {
    const { paymentId } = await paymentInReview()
    const broken = await cancelMissingPayment(await operatorWith(), paymentId)
    expect(broken).toEqual({ kind: 'left', state: 'needs_review', saw: 'server-error (500)' })
    await shop.faults()
    const there = await cancelMissingPayment(await operatorWith(), paymentId)
    expect(describeEnd('payment', paymentId, there)).toEqual({
      exitCode: 1,
      text: expect.stringMatching(/^Nothing was done: .* stays needs_review\. Seen: the gateway has its intent/),
    })
    const refusing = await operatorWith(() => ({ retrieveIntent: async () => rejected(400, 'parameter_unknown') }))
    expect(await cancelMissingPayment(refusing, paymentId)).toMatchObject({ saw: 'rejected: parameter_unknown' })
    expect(await cancelMissingPayment(await missing(), '0192f000-0000-7000-8000-000000000000')).toEqual({
      kind: 'not-found',
    })
  })
})

describe('a key of another account at the gateway', () => {
  it.each([
    ['another account', 'sk_test_dev_only', false],
    ['the other mode of the same account', 'sk_live_dev_only', true],
  ])('is not believed that there is no intent, and no refund: %s', async (_, apiKey, isSameAccount) => {
    const { orderId, paymentId } = await paymentInReview()
    await shop.faults()
    const { paid, refundId } = await refundInReview()
    const [row] = await shop.sql<{ account: string }>('SELECT gateway_account AS account FROM payments WHERE id = $1', [
      paymentId,
    ])
    expect(row?.account).toMatch(/^acct_\w+:test$/)
    const other = await startOther(apiKey, isSameAccount ? row?.account.split(':')[0] : undefined)
    const parts = { payments: { ...replica.deps, gatewayAccount: other.account }, gateway: other.gateway, command: '' }
    const opened = await other.account.learn()
    const end = await cancelMissingPayment(parts, paymentId)
    expect(describeEnd('payment', paymentId, end)).toEqual({
      exitCode: 1,
      text: `Nothing was done: payment ${paymentId} is needs_review, and its intent was created in ${row?.account}, and the key opens ${opened}.\n`,
    })
    expect(await failMissingRefund(parts, refundId)).toMatchObject({
      ...{ kind: 'not-looked', why: expect.stringContaining('the key does not see the payment intent') },
    })
    expect(brief(await replica.pay(orderId))).toBe('refused payment-in-review')
    expect(await booksOf(shop, paid)).toMatchObject({ pending: 1_000 })
  })

  it('nor where the account is not known', async () => {
    const { paymentId } = await paymentInReview()
    await shop.faults()
    const { payments, gateway, command } = await operatorWith(() => ({
      retrieveIntent: async () => rejected(404, 'resource_missing'),
    }))
    const silent = { ...payments, gatewayAccount: knownAccount(null) }
    expect(await cancelMissingPayment({ payments: silent, gateway, command }, paymentId)).toMatchObject({
      why: 'the gateway does not tell which account the key opens',
    })
    await shop.sql('ALTER TABLE payments DISABLE TRIGGER USER')
    await shop.sql('UPDATE payments SET gateway_account = NULL WHERE id = $1', [paymentId])
    await shop.sql('ALTER TABLE payments ENABLE TRIGGER USER')
    expect(await cancelMissingPayment({ payments, gateway, command }, paymentId)).toMatchObject({
      ...{ kind: 'not-looked', why: expect.stringMatching(/^it is not known in which account/) },
    })
  })
})

/** A second gateway, with an account of its own unless one is given. It has none of our intents. */
async function startOther(apiKey: string, accountId?: string) {
  const other = await openShop({ apiKey, accountId })
  const gateway = createStripeGateway({ url: other.gatewayUrl, apiKey, deadlineMs: 8_000, maxConnections: 2 })
  others.push(gateway.close, other.close)
  const account = new LearnedAccount({ ask: gateway.retrieveAccount, onKnown: () => {}, onUnknown: () => {} })
  return { gateway, account }
}

function rejected(status: number, errorCode: string) {
  return { kind: 'rejected', status, errorCode, about: 'state', message: null, requestId: null } as const
}

it('a merchant looks at a refund that waits for a person, and finds it by its state', async () => {
  const { paid, refundId } = await refundInReview()
  const { listAllRefunds, reviewRefund } = createPaymentOperations(replica.deps)
  const stranger = '0192f000-0000-7000-8000-000000000009'
  const waiting = await listAllRefunds(accountId, { limit: 100, after: null, state: 'needs_review' })
  expect(waiting.items.map(({ id }) => id)).toContain(refundId)
  expect(waiting.items.filter(({ state }) => state !== 'needs_review')).toEqual([])
  const newest = await listAllRefunds(accountId, { limit: 1, after: null, state: null })
  expect(newest).toMatchObject({ items: [{ id: refundId }], next: refundId })
  expect((await listAllRefunds(accountId, { limit: 1, after: refundId, state: null })).items[0]?.id).not.toBe(refundId)
  expect((await listAllRefunds(stranger, { limit: 1, after: null, state: null })).items).toEqual([])

  expect(await reviewRefund(stranger, refundId)).toMatchObject({ refusal: { code: 'refund-not-found' } })
  expect(await reviewRefund(accountId, refundId)).toMatchObject({
    kind: 'reviewed',
    subject: { state: 'needs_review' },
  })
  await failMissingRefund(await operatorWith(), refundId)
  expect(await reviewRefund(accountId, refundId)).toEqual({
    ...{ kind: 'refused', refusal: { code: 'refund-not-in-review', refundId, state: 'failed' } },
  })
  expect(await booksOf(shop, paid)).toMatchObject({ pending: 0 })
})

async function paymentInReview() {
  const orderId = await replica.createOrder()
  const broken = { kind: 'error-before', rate: 1, metadata: { orderId } }
  await shop.faults({ on: 'confirm', ...broken }, { on: 'retrieve', ...broken }, { on: 'cancel', ...broken })
  await replica.pay(orderId)
  const [row] = await shop.sql<{ id: string }>('SELECT id FROM payments WHERE order_id = $1', [orderId])
  await letTimePass(shop, '25 hours')
  await recoverPayment(replica.deps, row?.id)
  return { orderId, paymentId: row?.id ?? '' }
}

/** Asked for by a request that was never heard, with a key that the gateway may have forgotten by now. */
async function refundInReview(): Promise<{ paid: Paid; refundId: string }> {
  const deaf = await shop.replica('deaf', {
    gateway: (real) => ({
      ...real,
      createRefund: async () => ({
        kind: 'unknown',
        reason: 'connection',
        status: null,
        replayed: false,
        requestId: null,
      }),
    }),
  })
  const paid = await openPaid(replica)
  await refund(deaf, paid.paymentId, 1_000)
  const [row] = await shop.sql<{ id: string }>('SELECT id FROM refunds WHERE payment_id = $1', [paid.paymentId])
  await letRefundsAge(shop, paid, '25 hours')
  await recoverRefund(replica.deps, row?.id)
  return { paid, refundId: row?.id ?? '' }
}
