import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { developmentAccounts, sql, TransactionConflict } from '@seatbelt/database'
import { recoverPayment } from '@seatbelt/payments'
import { createLatch, patienceMs, raceCopies, startTcpProxy, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hookedTransaction, isSettleRead } from '../../../packages/payments/test/hooked-transaction.ts'
import { accountId, brief, letTimePass, type Replica } from '../../../packages/payments/test/shop.ts'
import {
  type Api,
  booksOf,
  event,
  eventsOf,
  intentEvent,
  nextSecret,
  openWorld,
  paymentOf,
  recorded,
  type World,
} from './gateway-events-support.ts'

let world: World
let replica: Replica
let api: Api
beforeAll(async () => {
  world = await openWorld()
  replica = await world.replica('api-1')
  api = await world.api(replica)
})
beforeEach(async () => {
  await world.faults()
  await world.sql('DELETE FROM gateway_events')
  replica.faults.length = 0
})
afterAll(() => world?.close())

const paid = {
  ...{ order: 'paid', payment: 'succeeded', declineCode: null, refunded: 0, pending: 0 },
  ...{ charges: 1, standingRefunds: 0, settled: 1, unanswered: 0 },
}

/** A payment whose confirm was answered by nobody: processing, owned by nobody, and charged at the gateway. */
async function openCharged(key: string = randomUUID()) {
  const orderId = await replica.createOrder()
  await world.faults({ on: 'confirm', kind: 'drop-after', rate: 1, metadata: { orderId } })
  expect(brief(await replica.pay(orderId, key))).toBe('unsettled')
  await world.faults()
  return { key, ...(await paymentOf(world, orderId)) }
}

/** A payment whose confirm never reached the gateway. */
async function openUnconfirmed() {
  const orderId = await replica.createOrder()
  await world.faults({ on: 'confirm', kind: 'drop-before', rate: 1, metadata: { orderId } })
  expect(brief(await replica.pay(orderId))).toBe('unsettled')
  await world.faults()
  return paymentOf(world, orderId)
}

async function theEvent(intentId: string, type: string) {
  const found = (await eventsOf(world, intentId)).find((one) => one.type === type)
  if (!found) throw new Error(`the gateway does not tell ${type} of ${intentId}`)
  return found
}

describe('evidence', () => {
  it("settles a payment whose answer was lost, with the gateway's own event, and records its caller's answer", async () => {
    const { key, orderId, intentId } = await openCharged()
    const told = await theEvent(intentId, 'payment_intent.succeeded')
    expect(await api.deliver(told)).toMatchObject({ status: 200, body: { result: 'applied' } })
    expect(await booksOf(world, orderId)).toEqual(paid)
    expect(brief(await replica.pay(orderId, key))).toBe('answered 201')
    expect(await api.deliver(told)).toMatchObject({ status: 200, body: { result: 'repeated' } })
    expect(await recorded(world)).toEqual({ 'payment_intent.succeeded': 'applied' })
    expect(replica.faults).toEqual([])
  })

  it('that is delivered twenty times at once, each read before any is applied, is applied once', async () => {
    const copies = 20
    const allHaveRead = createLatch('all copies have found the payment open')
    let arrived = 0
    const meeting = await world.replica('meeting', {
      // The last copy waits for all others.
      lockWaitMs: patienceMs,
      layers: ({ transaction }) => ({
        transaction: async (work) => {
          if (++arrived === copies) allHaveRead.open()
          await allHaveRead.wait()
          return transaction(work)
        },
      }),
    })
    const its = await world.api(meeting)
    const { orderId, intentId } = await openCharged()
    const told = await theEvent(intentId, 'payment_intent.succeeded')
    const taken = valuesOf(await raceCopies(copies, () => its.deliver(told)))
    expect(taken.map(({ body }) => body.result).sort()).toEqual([
      'applied',
      ...Array.from({ length: copies - 1 }, () => 'repeated'),
    ])
    expect(await booksOf(world, orderId)).toEqual(paid)
    expect(meeting.faults).toEqual([])
  })

  it.each([
    [null, { payment: 'cancelled', declineCode: null }],
    ['insufficient_funds', { payment: 'declined', declineCode: 'insufficient_funds' }],
  ])('of a cancelled intent ends its payment by what was noted before: %s', async (declineCode, ended) => {
    const payment = await openUnconfirmed()
    await world.sql('UPDATE payments SET decline_code = $2 WHERE id = $1', [payment.paymentId, declineCode])
    expect(await api.deliver(intentEvent(payment, 'payment_intent.canceled'))).toMatchObject({
      body: { result: 'applied' },
    })
    expect(await booksOf(world, payment.orderId)).toMatchObject({ order: 'pending', charges: 0, ...ended })
  })

  it.each([
    ['payment_intent.canceled', { order: 'pending', payment: 'voided', charges: 0 }],
    ['payment_intent.succeeded', { order: 'paid', payment: 'succeeded', charges: 1 }],
  ])('of what somebody did at the gateway with an amount on hold: %s', async (type, ended) => {
    const orderId = await replica.createOrder()
    await replica.authorize(orderId)
    const payment = await paymentOf(world, orderId)
    expect(payment.state).toBe('authorized')
    expect(await api.deliver(intentEvent(payment, type))).toMatchObject({ body: { result: 'applied' } })
    expect(await booksOf(world, orderId)).toMatchObject(ended)
    expect(brief(await replica.capture(payment.paymentId))).toBe('refused payment-not-authorized')
  })

  it('that contradicts what is final changes nothing, and a person hears of it', async () => {
    const { orderId, intentId, ...rest } = await openCharged()
    await api.deliver(await theEvent(intentId, 'payment_intent.succeeded'))
    const contrary = intentEvent({ orderId, intentId, ...rest }, 'payment_intent.canceled')
    expect(await api.deliver(contrary)).toMatchObject({ status: 200, body: { result: 'noted' } })
    expect(await booksOf(world, orderId)).toEqual(paid)
    expect(replica.faults.map(String)).toEqual([expect.stringContaining('is succeeded, and its intent is canceled')])

    const cancelled = await openUnconfirmed()
    await api.deliver(intentEvent(cancelled, 'payment_intent.canceled'))
    expect(await api.deliver(intentEvent(cancelled, 'payment_intent.succeeded'))).toMatchObject({
      body: { result: 'noted' },
    })
    expect(await booksOf(world, cancelled.orderId)).toMatchObject({ payment: 'cancelled', charges: 0 })
    expect(replica.faults).toHaveLength(2)
  })

  it('that contradicts is told to a person once, however often its transaction runs', async () => {
    const payment = await openUnconfirmed()
    let runs = 0
    const repeating = await world.replica('repeating', {
      layers: ({ transaction }) => ({
        transaction: async (work) => {
          // What was open when it was read is settled otherwise by the time of the lock.
          await api.deliver(intentEvent(payment, 'payment_intent.canceled'))
          return transaction(async (...tx) => {
            const result = await work(...tx)
            if (runs++ < 2) throw new TransactionConflict('once more')
            return result
          })
        },
      }),
    })
    const its = await world.api(repeating)
    expect(await its.deliver(intentEvent(payment, 'payment_intent.succeeded'))).toMatchObject({
      body: { result: 'noted' },
    })
    expect([runs, repeating.faults.map(String)]).toEqual([3, [expect.stringContaining('its intent is succeeded')]])
  })

  it('of a success of another intent than the stored one is no evidence, and a person hears of it', async () => {
    const payment = await openUnconfirmed()
    const stranger = { ...payment, intentId: 'pi_of_somebody' }
    expect(await api.deliver(intentEvent(stranger, 'payment_intent.succeeded'))).toMatchObject({
      body: { result: 'noted' },
    })
    expect(await paymentOf(world, payment.orderId)).toMatchObject({ state: 'processing' })
    expect(replica.faults.map(String)).toEqual([expect.stringContaining('pi_of_somebody')])
  })

  it.each([
    ['nothing was received', { amount_received: 0 }],
    ['more was received than asked for', { amount_received: 99_999 }],
    ['another amount', { amount: 1, amount_received: 1 }],
    ['another currency', { currency: 'usd' }],
    ["another payment's metadata", { metadata: { paymentId: randomUUID() } }],
    ['no charge', { latest_charge: undefined }],
    ['another status than its type says', { status: 'requires_capture' }],
    ['an unknown status', { status: 'tomorrow' }],
  ])('that is not whole is only a hint: %s', async (_, overrides) => {
    const payment = await openUnconfirmed()
    const told = intentEvent(payment, 'payment_intent.succeeded', overrides)
    expect(await api.deliver(told)).toMatchObject({ status: 200, body: { result: 'noted' } })
    expect(await paymentOf(world, payment.orderId)).toMatchObject({ state: 'processing' })
  })
})

describe('the waiting request and the event', () => {
  /** A replica whose confirm is charged, and whose answer is kept from it. */
  async function heldReplica(name: string) {
    const [charged, goOn] = [createLatch('the gateway has charged'), createLatch('the answer arrives')]
    const held = await world.replica(name, {
      gateway: (real) => ({
        ...real,
        confirmIntent: async (...args) => {
          const answer = await real.confirmIntent(...args)
          charged.open()
          await goOn.wait()
          return answer
        },
      }),
    })
    return { held, charged, goOn }
  }

  it('before the settle: the request loses by its generation, and answers what is recorded', async () => {
    const { held, charged, goOn } = await heldReplica('held-1')
    const orderId = await replica.createOrder()
    const waiting = held.pay(orderId, 'held-key')
    await charged.wait()
    const { intentId, paymentId } = await paymentOf(world, orderId)
    expect(await api.deliver(await theEvent(intentId, 'payment_intent.succeeded'))).toMatchObject({
      body: { result: 'applied' },
    })
    goOn.open()
    const answered = await waiting
    // It is the answer of the request that claimed, which nobody heard before.
    expect(answered).toMatchObject({ kind: 'answered', replayed: false })
    expect(brief(answered)).toBe('answered 201')
    expect(answered).toMatchObject({ answer: ((await replica.pay(orderId, 'held-key')) as { answer?: object }).answer })
    expect(await booksOf(world, orderId)).toEqual(paid)
    const lines = await world.sql<{ event: string }>(
      'SELECT event FROM payment_events WHERE payment_id = $1 ORDER BY id',
      [paymentId],
    )
    expect(lines.map((line) => line.event)).toEqual(
      expect.arrayContaining(['claimed', 'gateway-event', 'settled', 'superseded']),
    )
    expect([...held.faults, ...replica.faults]).toEqual([])
  })

  it('after the settle: the event finds what it tells', async () => {
    const orderId = await replica.createOrder()
    await replica.pay(orderId)
    const { intentId } = await paymentOf(world, orderId)
    expect(await api.deliver(await theEvent(intentId, 'payment_intent.succeeded'))).toMatchObject({
      body: { result: 'noted' },
    })
    expect(await booksOf(world, orderId)).toEqual(paid)
    expect(replica.faults).toEqual([])
  })

  it('a late success of a payment that recovery is fencing: the fence is refused, and both agree', async () => {
    const goOn = createLatch('the owner confirms')
    const claimed = createLatch('the owner is about to confirm')
    const zombie = await world.replica('zombie', {
      gateway: (real) => ({
        ...real,
        confirmIntent: async (...args) => {
          claimed.open()
          await goOn.wait()
          return real.confirmIntent(...args)
        },
      }),
    })
    const [fencing, fence] = [createLatch('recovery is about to cancel'), createLatch('recovery cancels')]
    const worker = await world.replica('worker', {
      gateway: (real) => ({
        ...real,
        cancelIntent: async (...args) => {
          fencing.open()
          await fence.wait()
          return real.cancelIntent(...args)
        },
      }),
    })
    const orderId = await replica.createOrder()
    const late = zombie.pay(orderId)
    await claimed.wait()
    await letTimePass(world, '16 minutes')
    const recovery = recoverPayment(worker.deps, (await paymentOf(world, orderId)).paymentId)
    await fencing.wait()
    goOn.open()
    expect(brief(await late)).toBe('unsettled')
    const { intentId } = await paymentOf(world, orderId)
    expect(await api.deliver(await theEvent(intentId, 'payment_intent.succeeded'))).toMatchObject({
      body: { result: 'applied' },
    })
    fence.open()
    expect(brief((await recovery)?.result ?? { kind: 'refused', refusal: { code: 'order-not-found', orderId } })).toBe(
      'answered 201',
    )
    expect(await booksOf(world, orderId)).toEqual(paid)
    expect(await world.charges(orderId)).toHaveLength(1)
    expect([...zombie.faults, ...worker.faults, ...replica.faults]).toEqual([])
  })
})

describe('a hint', () => {
  const dueNow = async (paymentId: string) => {
    const rows = await world.sql<{ due: boolean }>(
      'SELECT next_attempt_at <= now() AS due FROM payments WHERE id = $1',
      [paymentId],
    )
    return rows[0]?.due
  }

  /** Was there a pause when the last line of its history was written? By now it may be over. */
  const wasPostponed = async (paymentId: string) => {
    const rows = await world.sql<{ postponed: boolean }>(
      `SELECT next_attempt_at > (SELECT max(at) FROM payment_events WHERE payment_id = payments.id) AS postponed
         FROM payments WHERE id = $1`,
      [paymentId],
    )
    return rows[0]?.postponed
  }

  it('has recovery look at once', async () => {
    const payment = await openUnconfirmed()
    expect(await wasPostponed(payment.paymentId)).toBe(true)
    await api.deliver(intentEvent(payment, 'payment_intent.payment_failed'))
    expect(await dueNow(payment.paymentId)).toBe(true)
    expect(await recorded(world)).toEqual({ 'payment_intent.payment_failed': 'noted' })
    expect((await recoverPayment(replica.deps, payment.paymentId))?.payment.id).toBe(payment.paymentId)
  })

  it.each([true, false])(
    'while an owner is at work is not lost when that owner gives up (hinted: %s)',
    async (hinted) => {
      const [asked, goOn] = [createLatch('the owner has asked'), createLatch('it hears nothing')]
      const owner = await world.replica(`owner-${hinted}`, {
        gateway: (real) => ({
          ...real,
          confirmIntent: async () => {
            asked.open()
            await goOn.wait()
            return { kind: 'unknown', reason: 'connection', status: null, replayed: false, requestId: null }
          },
        }),
      })
      const orderId = await replica.createOrder()
      const waiting = owner.pay(orderId)
      await asked.wait()
      const payment = await paymentOf(world, orderId)
      if (hinted) await api.deliver(intentEvent(payment, 'payment_intent.payment_failed'))
      goOn.open()
      expect(brief(await waiting)).toBe('unsettled')
      expect(await wasPostponed(payment.paymentId)).toBe(!hinted)
    },
  )
})

describe('what is not ours', () => {
  it.each([
    ['an unknown type', () => event('customer.created', { id: 'cus_1', object: 'customer' }), 'ignored'],
    ['a type that has no object', () => event('account.updated', {}), 'ignored'],
    [
      "somebody else's intent",
      () => intentEvent({ ...nobody, names: { ...nobody.names, paymentId: 'not-an-id' } }, 'payment_intent.succeeded'),
      'ignored',
    ],
    ['a payment that we do not have', () => intentEvent(nobody, 'payment_intent.succeeded'), 'unknown'],
  ])('%s is taken, and is nothing: 200', async (_, make, result) => {
    expect(await api.deliver(make())).toMatchObject({ status: 200, body: { result } })
    expect(Object.values(await recorded(world))).toEqual(['ignored'])
    expect(await api.metrics()).toMatch(new RegExp(`gateway_events_total\\{result="${result}"\\} [1-9]`))
  })

  const names = { orderId: randomUUID(), paymentId: randomUUID() }
  const nobody = { ...names, names, intentId: 'pi_nobody', amountMinor: 1 }

  it("a payment that is named under another account's name is none of that account", async () => {
    const payment = await openUnconfirmed()
    const foreign = { metadata: { ...payment.names, accountId: developmentAccounts[1].id } }
    const told = intentEvent({ ...payment, intentId: 'pi_forged' }, 'payment_intent.canceled', foreign)
    expect(await api.deliver(told)).toMatchObject({ status: 200, body: { result: 'unknown' } })
    expect(await paymentOf(world, payment.orderId)).toMatchObject({ state: 'processing' })
  })
})

describe('what is refused', () => {
  const refusal = async (how: Parameters<Api['deliver']>[1]) => {
    const { status, body } = await api.deliver(event('customer.created', { id: 'cus_1', object: 'customer' }), how)
    expect(JSON.stringify(body)).not.toMatch(/whsec|cus_1|stack/)
    return `${status} ${body.code}: ${body.detail}`
  }
  const now = () => Math.floor(Date.now() / 1000)

  it.each([
    ['unsigned', { signature: null }, /^400 signature-invalid: The Stripe-Signature header is missing/],
    ['signed with another secret', { secret: 'whsec_of_somebody' }, /^400 signature-invalid: .*none of the secrets/],
    ['with a header of rubbish', { signature: 'v1' }, /^400 signature-invalid: .*none of the secrets/],
    ['signed for other bytes', { signature: 't=1,v1=00' }, /^400 signature-invalid: .*none of the secrets/],
    ['with an empty signature', { signature: 't=1,v1=' }, /^400 signature-invalid: .*none of the secrets/],
    ['with one that is not ASCII', { signature: `t=1,v1=${'\u00e9'.repeat(64)}` }, /^400 signature-invalid: .*none of/],
    ['with no signature but a name', { signature: 't=1,v1' }, /^400 signature-invalid: .*none of the secrets/],
    ['without a time', { signature: `t=,v1=${'0'.repeat(64)}` }, /^400 signature-invalid: .*none of the secrets/],
    ['too old', { timestamp: now() - 400 }, /^400 signature-invalid: .*more than 300 s old/],
    ['not JSON, though signed', { body: '{"id":' }, /^400 invalid-request/],
    ['not an event, though signed', { body: '[1]' }, /^400 invalid-request/],
    ['without an id, though signed', { body: '{"object":"event","type":"a"}' }, /^400 invalid-request/],
    ['a thin event', { body: '{"id":"evt_1","object":"v2.core.event","type":"a"}' }, /^400 invalid-request/],
    ['another content type', { contentType: 'text/plain' }, /^415 unsupported-media-type/],
    ['huge', { body: `{"pad":"${'x'.repeat(256 * 1024)}"}` }, /^413 body-too-large: A body may have 262144 bytes/],
  ])('%s', async (_, how, problem) => {
    expect(await refusal(how)).toMatch(problem)
    expect(await recorded(world)).toEqual({})
  })

  it('by its own name in the figures: a stranger cannot raise what only the gateway should', async () => {
    const { deliver, metrics } = await world.api(replica)
    for (const signature of ['t=1,v1=', 't=1,v1', `t=1,v1=${'\u00e9'.repeat(64)}`, `t=1,v1=${'0'.repeat(64)}`])
      await deliver(event('a', {}), { signature, body: 'no JSON' })
    expect(await metrics()).toContain('gateway_events_total{result="wrongly-signed"} 4')
    expect(await metrics()).not.toContain('result="malformed"')
  })

  it('huge without saying so: counted while it arrives', async () => {
    const chunk = new TextEncoder().encode('x'.repeat(64 * 1024))
    let sent = 0
    const body = new ReadableStream({
      pull: (controller) => (++sent > 40 ? controller.close() : controller.enqueue(chunk)),
    })
    const response = await fetch(`${api.url}/v1/gateway/webhooks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'stripe-signature': 't=1,v1=00' },
      ...{ body, duplex: 'half' },
    })
    expect(response.status).toBe(413)
  })

  it('a body that does not come in time: 408, and the connection is closed, which frees its place', async () => {
    const { url } = await world.api(replica, { bodyMs: 200 })
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    const closed = once(socket, 'close')
    socket.write(
      `POST /v1/gateway/webhooks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\nStripe-Signature: t=1,v1=00\r\n\r\n{`,
    )
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1\.1 408 [\s\S]*request-timeout/)
    await closed
  })

  it('anything but POST', async () => {
    const response = await fetch(`${api.url}/v1/gateway/webhooks`)
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })

  it('not what was signed with the second secret, nor what the clock of this process finds new', async () => {
    const told = () => event('customer.created', { id: 'cus_1', object: 'customer' })
    expect(await api.deliver(told(), { secret: nextSecret })).toMatchObject({ status: 200 })
    const later = await world.api(replica, { now: () => Date.now() + 301_000 })
    expect(await later.deliver(told())).toMatchObject({ status: 400, body: { code: 'signature-invalid' } })
    expect(await later.deliver(told(), { timestamp: now() + 100 })).toMatchObject({ status: 200 })
  })

  it('not a burst, from however few addresses', async () => {
    const told = () => api.deliver(event('customer.created', { id: 'cus_1', object: 'customer' }))
    const taken = valuesOf(await raceCopies(100, told))
    expect(new Set(taken.map(({ status }) => status))).toEqual(new Set([200]))
  })
})

describe('what cannot be written down now', () => {
  it('killed between the event and its effect: nothing is recorded, and the next delivery applies it', async () => {
    const dying = await world.replica('dying', {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text, _, tx) => {
            if (!isSettleRead(text)) return
            expect(await tx.read(sql`SELECT result FROM gateway_events`)).toEqual([{ result: 'applied' }])
            await tx.read(sql`SELECT pg_terminate_backend(pg_backend_pid())`)
          },
        }),
      }),
    })
    const { orderId, intentId } = await openCharged()
    const told = await theEvent(intentId, 'payment_intent.succeeded')
    const refused = await (await world.api(dying)).deliver(told)
    expect(refused).toMatchObject({ status: 503, retryAfter: '1' })
    expect(await recorded(world)).toEqual({})
    expect(await api.deliver(told)).toMatchObject({ body: { result: 'applied' } })
    expect(await booksOf(world, orderId)).toEqual(paid)
  })

  it('evidence while the lock is held for too long: 503, nothing recorded. Hints do not even wait', async () => {
    const { orderId, intentId, ...rest } = await openCharged()
    const told = await theEvent(intentId, 'payment_intent.succeeded')
    await world.sql('BEGIN')
    try {
      await world.sql('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`order:${accountId}:${orderId}`])
      const evidence = api.deliver(told)
      const hint = intentEvent({ orderId, intentId, ...rest }, 'payment_intent.payment_failed')
      const first = await Promise.race([evidence, api.deliver(hint)])
      expect(first).toMatchObject({ status: 200, body: { result: 'noted' } })
      expect(await evidence).toMatchObject({ status: 503, retryAfter: '1' })
      expect(await recorded(world)).toEqual({ 'payment_intent.payment_failed': 'noted' })
    } finally {
      await world.sql('ROLLBACK')
    }
    expect(await api.deliver(told)).toMatchObject({ body: { result: 'applied' } })
  })

  it('a database that is away: 503', async () => {
    const { hostname: host, port } = new URL(world.databaseUrl)
    const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
    try {
      const cutOff = await world.replica('cut-off', { databaseUrl: proxy.through(world.databaseUrl) })
      const its = await world.api(cutOff)
      proxy.refuse()
      expect(await its.deliver(event('customer.created', { id: 'cus_1', object: 'customer' }))).toMatchObject({
        status: 503,
        retryAfter: '1',
      })
    } finally {
      await proxy.close()
    }
  })

  it('a payment that recovery takes over at that moment is judged again', async () => {
    const { orderId, intentId } = await openCharged()
    const racing = await world.replica('racing', {
      layers: ({ transaction }) => ({
        transaction: async (work) => {
          // Between the first read and the lock, on a connection of its own: recovery takes no lock of the order.
          await world.sql('UPDATE payments SET generation = generation + 1 WHERE order_id = $1', [orderId])
          return transaction(work)
        },
      }),
    })
    const told = await theEvent(intentId, 'payment_intent.succeeded')
    expect(await (await world.api(racing)).deliver(told)).toMatchObject({ body: { result: 'applied' } })
    expect(await booksOf(world, orderId)).toEqual(paid)
  })
})

it('an event has at most one statement (a copy, known news), two (a hint) or sixteen (evidence)', async () => {
  const { hostname: host, port } = new URL(world.databaseUrl)
  const proxy = await startTcpProxy({ target: { host, port: Number(port) }, protocol: 'postgres' })
  let statements = 0
  proxy.intercept({
    matches: ({ kind }) => {
      if (kind === 'execute' || kind === 'query') statements += 1
      return false
    },
    at: 'request',
  })
  try {
    const counted = await world.api(await world.replica('counted', { databaseUrl: proxy.through(world.databaseUrl) }))
    const costOf = async (told: object) => {
      statements = 0
      expect(await counted.deliver(told)).toMatchObject({ status: 200 })
      return statements
    }
    const payment = await openCharged()
    const told = await theEvent(payment.intentId, 'payment_intent.succeeded')
    expect(await costOf(intentEvent(payment, 'payment_intent.payment_failed'))).toBe(2)
    const evidence = await costOf(told)
    expect(evidence).toBeGreaterThan(3)
    expect(evidence).toBeLessThanOrEqual(16)
    expect(await costOf(told)).toBe(1)
    // The payment is settled by now: whatever else is said of it is known, and costs one read without any lock.
    expect(await costOf(intentEvent(payment, 'payment_intent.payment_failed'))).toBe(1)
  } finally {
    await proxy.close()
  }
})
