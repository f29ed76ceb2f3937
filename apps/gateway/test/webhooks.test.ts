import { createLatch, eventually } from '@seatbelt/testing'
import Stripe from 'stripe'
import { describe, expect, it } from 'vitest'
import { type Delivery, openGateway, openReceiver } from './support.ts'

const secret = 'whsec_of_the_test'
const { webhooks } = Stripe
const apiVersion = '2026-10-28.endive'

/** Impatient, so that a retry costs a test nothing. */
const times = { firstPauseMs: 5, maxPauseMs: 10, maxAttempts: 50, timeoutMs: 2_000 }

type Answer = Parameters<typeof openReceiver>[0]

async function openBoth(answer?: Answer, options: Parameters<typeof openGateway>[0] = {}) {
  const receiver = await openReceiver(answer)
  const endpoint = { urls: [receiver.url], secrets: [secret] }
  const gateway = await openGateway({ webhooks: endpoint, webhookTimes: times, ...options })
  const settled = () => eventually('nothing is owed', () => gateway.webhooks().owed === 0)
  return { ...gateway, receiver, endpoint, settled }
}

function verified({ payload, signature }: Delivery, by = secret): Stripe.Event {
  return webhooks.constructEvent(payload, signature, by)
}

describe('an event', () => {
  it('is signed, and tells what it is about as it was then', async () => {
    const { stripe, pay, receiver, settled } = await openBoth()
    const intent = await stripe.paymentIntents.create({ amount: 500, currency: 'eur', metadata: { orderId: 'o1' } })
    const confirmed = await stripe.paymentIntents.confirm(
      intent.id,
      { payment_method: 'pm_card_visa' },
      { idempotencyKey: 'p1:confirm:1' },
    )
    await settled()
    const { lastResponse, ...object } = confirmed
    expect(verified(receiver.deliveries[0] as Delivery)).toEqual({
      id: expect.stringMatching(/^evt_\w{24}$/),
      object: 'event',
      api_version: apiVersion,
      created: expect.any(Number),
      data: { object },
      livemode: false,
      pending_webhooks: 1,
      request: { id: lastResponse.requestId, idempotency_key: 'p1:confirm:1' },
      type: 'payment_intent.succeeded',
    })
    await pay()
    await settled()
    expect(new Set(receiver.ids()).size).toBe(2)
  })

  it('is told for each thing that happens to money', async () => {
    const { stripe, pay, authorize, control, receiver, settled } = await openBoth()
    const told = async (act: () => Promise<unknown>) => {
      const before = receiver.deliveries.length
      await act()
      await settled()
      return receiver.types().slice(before).toSorted()
    }
    let intent = ''
    let refund = ''
    expect(await told(() => stripe.paymentIntents.create({ amount: 500, currency: 'eur' }))).toEqual([])
    const declined = () => pay({ payment_method: 'pm_card_visa_chargeDeclined' }).catch(() => {})
    expect(await told(declined)).toEqual(['payment_intent.payment_failed'])
    expect(await told(async () => (intent = (await authorize()).id))).toEqual([
      'payment_intent.amount_capturable_updated',
    ])
    expect(await told(() => stripe.paymentIntents.capture(intent))).toEqual(['payment_intent.succeeded'])
    expect(await told(async () => (refund = (await stripe.refunds.create({ payment_intent: intent })).id))).toEqual([
      'charge.refunded',
      'refund.created',
    ])
    expect(await told(() => control(`/refunds/${refund}/fail`))).toEqual(['refund.failed', 'refund.updated'])
    intent = (await authorize()).id
    await settled()
    expect(await told(() => stripe.paymentIntents.cancel(intent))).toEqual([
      'charge.refunded',
      'payment_intent.canceled',
    ])
  })

  it('about a refund that changed says what it was before, and that nobody asked', async () => {
    const { stripe, pay, control, receiver, settled } = await openBoth()
    const { id } = await stripe.refunds.create({ payment_intent: (await pay()).id, metadata: { refundId: 'r1' } })
    await control(`/refunds/${id}/fail`)
    await settled()
    const failed = receiver.deliveries.find(({ event }) => event.type === 'refund.failed')
    expect(verified(failed as Delivery)).toMatchObject({
      data: {
        object: { id, status: 'failed', failure_reason: 'expired_or_canceled_card', metadata: { refundId: 'r1' } },
        previous_attributes: { status: 'succeeded' },
      },
      request: { id: null, idempotency_key: null },
    })
    const created = receiver.deliveries.find(({ event }) => event.type === 'refund.created')
    expect(created?.event.data.object).toMatchObject({ status: 'succeeded' })
  })

  it('is found again by id and in the list, delivered or not', async () => {
    const { stripe, pay, setFaults, receiver, settled } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'never', event: 'payment_intent.payment_failed' })
    await pay({ payment_method: 'pm_card_visa_chargeDeclined' }).catch(() => {})
    await pay()
    await settled()
    const { data } = await stripe.events.list()
    expect(data.map(({ type }) => type)).toEqual(['payment_intent.succeeded', 'payment_intent.payment_failed'])
    const ofType = await stripe.events.list({ type: 'payment_intent.succeeded', limit: 1 })
    expect(ofType.data.map(({ id }) => id)).toEqual(receiver.ids())
    const found = await stripe.events.retrieve(String(data[0]?.id))
    expect(found.data).toEqual(receiver.deliveries[0]?.event.data)
    await expect(stripe.events.retrieve('evt_none')).rejects.toMatchObject({ statusCode: 404 })
  })
})

describe('a delivery', () => {
  it('is repeated until it is taken, and then not any more', async () => {
    const answers = [500, 404, 302, 200]
    const { pay, receiver, settled, webhooks: counts } = await openBoth(() => answers.shift() ?? 200)
    await pay()
    await settled()
    expect(new Set(receiver.ids()).size).toBe(1)
    expect(receiver.deliveries).toHaveLength(4)
    expect(counts()).toMatchObject({ owed: 0, delivered: 1 })
  })

  it('is given up after so many attempts', async () => {
    const {
      pay,
      receiver,
      settled,
      webhooks: counts,
    } = await openBoth(() => 500, {
      webhookTimes: { ...times, maxAttempts: 3 },
    })
    await pay()
    await settled()
    expect(receiver.deliveries).toHaveLength(3)
    expect(counts()).toMatchObject({ abandoned: 1, delivered: 0 })
  })

  it('whose receiver hangs is cut off and repeated', async () => {
    const never = createLatch('never')
    let answers = 0
    const answer = async () => {
      answers += 1
      if (answers === 1) await never.wait().catch(() => {})
      return 200
    }
    const { pay, receiver, settled } = await openBoth(answer, { webhookTimes: { ...times, timeoutMs: 50 } })
    await pay()
    await settled()
    expect(receiver.deliveries).toHaveLength(2)
  })

  it('is one of ten at most that are on their way at the same moment', async () => {
    const all = createLatch('ten have arrived')
    const go = createLatch('go')
    let open = 0
    let most = 0
    const answer = async () => {
      open += 1
      most = Math.max(most, open)
      if (open === 10) all.open()
      await go.wait()
      open -= 1
      return 200
    }
    const { pay, settled } = await openBoth(answer)
    for (let n = 0; n < 15; n += 1) await pay()
    await all.wait()
    go.open()
    await settled()
    expect(most).toBe(10)
  })

  it('goes to the addresses of one receiver in turn, so that a dead one costs an attempt and no more', async () => {
    const [dead, alive] = [await openReceiver(), await openReceiver()]
    dead.close()
    const gateway = await openGateway({
      webhooks: { urls: [dead.url, alive.url], secrets: [secret] },
      webhookTimes: times,
    })
    await gateway.pay()
    await eventually('it is delivered', () => gateway.webhooks().delivered === 1)
    expect(alive.deliveries).toHaveLength(1)
  })

  it('is signed with every secret while they are rotated', async () => {
    const { pay, control, endpoint, receiver, settled } = await openBoth()
    const rotating = await control('/webhooks', { ...endpoint, secrets: ['whsec_the_new_one', secret] })
    expect(rotating).toMatchObject({ status: 200, body: { urls: endpoint.urls, secrets: 2 } })
    await pay()
    await settled()
    const [delivery] = receiver.deliveries as [Delivery]
    expect(delivery.signature.match(/v1=/g)).toHaveLength(2)
    for (const by of [secret, 'whsec_the_new_one']) expect(verified(delivery, by).type).toBe('payment_intent.succeeded')
    expect(() => verified(delivery, 'whsec_of_somebody')).toThrow('No signatures found')
  })

  it('is the same header that the official package makes', async () => {
    const { pay, receiver, settled } = await openBoth()
    await pay()
    await settled()
    const [{ payload, signature }] = receiver.deliveries as [Delivery]
    const timestamp = Number(/t=(\d+)/.exec(signature)?.[1])
    expect(webhooks.generateTestHeaderString({ payload, secret, timestamp })).toBe(signature)
  })
})

describe('where events go', () => {
  it('nowhere without an endpoint, and from then on to the one that is named', async () => {
    const receiver = await openReceiver()
    const { pay, control, webhooks: counts } = await openGateway({ webhookTimes: times })
    await pay()
    expect(counts().owed).toBe(0)
    await control('/webhooks', { urls: [receiver.url], secrets: [secret] })
    const { id } = await pay()
    await eventually('it is delivered', () => counts().delivered === 1)
    expect(receiver.deliveries.map(({ event }) => (event.data.object as { id: string }).id)).toEqual([id])
  })

  it('to another receiver, also what is still owed; or nowhere any more', async () => {
    const { pay, control, receiver, endpoint, webhooks: counts } = await openBoth(() => 500)
    await pay()
    await eventually('it was tried', () => receiver.deliveries.length > 0)
    const other = await openReceiver()
    await control('/webhooks', { ...endpoint, urls: [other.url] })
    await eventually('it is delivered', () => counts().delivered === 1)

    await control('/webhooks', endpoint)
    await pay()
    expect((await control('/webhooks', { urls: [], secrets: [] })).body).toMatchObject({
      urls: [],
      owed: 0,
      delivered: 1,
    })
  })

  it.each([
    ['an address without a secret', { urls: ['http://127.0.0.1:1'], secrets: [] }],
    ['something that is no address', { urls: ['file:///etc/passwd'], secrets: [secret] }],
    ['a secret that nobody could type', { urls: ['http://127.0.0.1:1'], secrets: ['a b'] }],
    ['more secrets than a rotation needs', { urls: ['http://127.0.0.1:1'], secrets: Array(6).fill(secret) }],
    ['nothing', {}],
  ])('never to %s', async (_name, body) => {
    const { control } = await openGateway()
    expect((await control('/webhooks', body)).status).toBe(400)
  })

  it('is told to whoever asks, without the secrets', async () => {
    const { url } = await openBoth()
    const text = await (await fetch(`${url}/_control/webhooks`)).text()
    expect(JSON.parse(text)).toMatchObject({ secrets: 1, owed: 0, delivered: 0, abandoned: 0, withheld: 0 })
    expect(text).not.toContain(secret)
  })
})

describe('after a kill', () => {
  it('what was not delivered is delivered, what was is not, under the same ids', async () => {
    let mood = 200
    const { ledgerPath, close, pay, receiver, endpoint, settled, webhooks: counts } = await openBoth(() => mood)
    await pay()
    await settled()
    mood = 500
    await pay()
    await eventually('it was tried', () => receiver.deliveries.length > 1)
    expect(counts().owed).toBe(1)
    close()
    const [delivered, owed] = receiver.ids()

    mood = 200
    const known = receiver.deliveries.length
    const after = await openGateway({ ledgerPath, webhooks: endpoint, webhookTimes: times })
    await eventually('nothing is owed', () => after.webhooks().owed === 0)
    // An attempt of the killed one may still have been on its way.
    expect(new Set(receiver.ids().slice(known))).toEqual(new Set([owed]))
    expect(owed).not.toBe(delivered)
    expect(after.webhooks()).toMatchObject({ delivered: 2 })
  })

  it('what was set by control still holds, unless the configuration changed', async () => {
    const { ledgerPath, close, control, endpoint } = await openBoth()
    const other = await openReceiver()
    await control('/webhooks', { ...endpoint, urls: [other.url] })
    close()

    const again = await openGateway({ ledgerPath, webhooks: endpoint, webhookTimes: times })
    await again.pay()
    await eventually('it is delivered', () => other.deliveries.length === 1)
    again.close()

    const third = await openReceiver()
    const changed = await openGateway({ ledgerPath, webhooks: { ...endpoint, urls: [third.url] }, webhookTimes: times })
    await changed.pay()
    await eventually('it is delivered', () => third.deliveries.length === 1)
  })
})

describe('each way in which a delivery goes wrong', () => {
  it('twice', async () => {
    const { pay, setFaults, receiver, settled } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'twice' })
    await pay()
    await settled()
    expect(receiver.deliveries).toHaveLength(2)
    expect(new Set(receiver.ids()).size).toBe(1)
  })

  it('five at once', async () => {
    const five = createLatch('five copies are there at the same moment')
    let open = 0
    const answer = async () => {
      open += 1
      if (open === 5) five.open()
      await five.wait()
      return 200
    }
    const { pay, setFaults, receiver, settled } = await openBoth(answer)
    await setFaults({ on: 'webhook', kind: 'five-at-once' })
    await pay()
    await settled()
    expect(receiver.deliveries).toHaveLength(5)
    expect(new Set(receiver.ids()).size).toBe(1)
  })

  it('late', async () => {
    const { pay, setFaults, receiver, settled } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'delay', delayMs: 100 })
    const begun = performance.now()
    await pay()
    expect(receiver.deliveries).toEqual([])
    await settled()
    expect(performance.now() - begun).toBeGreaterThan(95)
    expect(receiver.deliveries).toHaveLength(1)
  })

  it('out of order: behind a later event of the same payment', async () => {
    const { stripe, authorize, setFaults, receiver, settled } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'out-of-order', delayMs: 60_000 })
    const { id } = await authorize()
    await stripe.paymentIntents.capture(id)
    await settled()
    expect(receiver.types()).toEqual(['payment_intent.succeeded', 'payment_intent.amount_capturable_updated'])
  })

  it('out of order: in the end all the same, where nothing follows', async () => {
    const { pay, setFaults, receiver, settled } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'out-of-order', delayMs: 20 })
    await pay()
    await settled()
    expect(receiver.deliveries).toHaveLength(1)
  })

  it('never', async () => {
    const { pay, setFaults, receiver, settled, webhooks: counts } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'never' })
    await pay()
    await settled()
    expect(receiver.deliveries).toEqual([])
    expect(counts()).toMatchObject({ withheld: 1, delivered: 0 })
  })

  it.each([
    ['wrong-signature', 'No signatures found'],
    ['old-timestamp', 'Timestamp outside the tolerance zone'],
  ])('%s: refused, and then as it should be', async (kind, why) => {
    const refusals: string[] = []
    const { pay, setFaults, receiver, settled } = await openBoth((delivery) => {
      try {
        verified(delivery)
        return 200
      } catch (error) {
        refusals.push(String(error))
        return 400
      }
    })
    await setFaults({ on: 'webhook', kind })
    await pay()
    await settled()
    expect(refusals).toEqual([expect.stringContaining(why)])
    expect(receiver.deliveries).toHaveLength(2)
  })

  it('at a rate, for some payments, or by the wish of a payment', async () => {
    const { pay, setFaults, receiver, settled, webhooks: counts } = await openBoth()
    await setFaults({ on: 'webhook', kind: 'never', metadata: { orderId: 'o1' } })
    await pay({ metadata: { orderId: 'o1' } })
    await pay({ metadata: { orderId: 'o2' } })
    await pay({ metadata: { fault: 'confirm:delay,webhook:twice' } })
    await settled()
    expect(receiver.deliveries).toHaveLength(3)

    await setFaults({ on: 'webhook', kind: 'never', rate: 0.5 })
    for (let n = 0; n < 40; n += 1) await pay()
    await settled()
    expect(counts().withheld).toBeGreaterThan(8)
    expect(counts().withheld).toBeLessThan(34)
  })

  it('but never because of a rule for any request', async () => {
    const { pay, control, setFaults, receiver, settled } = await openBoth()
    await setFaults({ on: 'any', kind: 'delay', delayMs: 1, times: 1 })
    await pay()
    await settled()
    expect(receiver.deliveries).toHaveLength(1)
    expect((await control('/faults', { faults: [{ on: 'webhook', kind: 'drop-after', rate: 1 }] })).status).toBe(400)
  })
})
