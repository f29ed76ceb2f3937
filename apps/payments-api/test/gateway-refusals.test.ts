import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import { recoverPayment } from '@seatbelt/payments'
import { eventually } from '@seatbelt/testing'
import { describe, expect, it } from 'vitest'
import { openWorld, startApi, type World } from './gateway-world.ts'

const message = 'Received unknown parameter: simulated'

async function openApi() {
  const world = await openWorld()
  return { world, api: await startApi(world) }
}

type Api = Awaited<ReturnType<typeof startApi>>

async function openOrders(createOrder: Api['createOrder'], count: number): Promise<string[]> {
  const made = []
  for (let order = 0; order < count; order++) made.push((await createOrder()).answer.id)
  return made
}

/** The lines of level error about the gateway. */
function errorsIn({ logged }: World) {
  return logged.filter(({ level }) => level === 'error')
}

describe('a gateway that does not accept our key', () => {
  it('401: refuses payments from the first one on, claims nothing, and names the cause', async () => {
    const { world, api } = await openApi()
    const [paidBefore = '', first = '', ...orders] = await openOrders(api.createOrder, 5)
    expect((await api.pay(paidBefore)).status).toBe(201)
    await world.faults({ on: 'any', kind: 'unauthorized', rate: 1 })

    // Whether the 401 is the gateway's last word about this request is not known.
    expect((await api.pay(first)).status).toBe(202)
    for (const orderId of orders) {
      const { status, headers, answer } = await api.pay(orderId)
      expect([status, answer.code]).toEqual([503, 'temporarily-unavailable'])
      expect(headers.get('retry-after')).toMatch(/^[12]$/)
    }
    expect(await api.count(orders)).toEqual({ payments: 0, keys: 0 })
    expect((await api.pay(paidBefore)).headers.get('idempotent-replayed')).toBe('true')
    // The process itself works: to take it out of the balancer would take the reads with it.
    expect(await api.isReady()).toBe(true)
    expect(await api.metrics()).toContain('gateway_stopped{operation="everything",cause="unauthorized"} 1')
    expect(errorsIn(world)).toEqual([
      expect.objectContaining({
        msg: 'the gateway refuses our API key (401): nothing new is begun',
        resource: 'everything',
        err: expect.objectContaining({ cause: 'unauthorized', request: 'create' }),
      }),
    ])

    await world.faults()
    await eventually('payments go on', async () => !(await api.isStopped()), { boundMs: 20_000 })
    for (const orderId of orders) expect((await api.pay(orderId)).status).toBe(201)
  })

  it('403: stops this operation of this account alone, until the gateway allows that kind of request', async () => {
    const { world, api } = await openApi()
    const [held = '', first = '', refused = ''] = await openOrders(api.createOrder, 3)
    const [others = ''] = await openOrders(api.other.createOrder, 1)
    const paymentId = (await api.pay(held, { capture: 'manual' })).answer.id
    const [{ id: accountId }] = developmentAccounts
    await world.faults({ on: 'create', kind: 'forbidden', rate: 1, metadata: { accountId } })

    expect((await api.pay(first)).status).toBe(202)
    const { status, answer, headers } = await api.pay(refused)
    expect([status, answer.code]).toEqual([503, 'gateway-forbids-operation'])
    expect(headers.get('retry-after')).toMatch(/^[12]$/)
    expect(await api.count([refused])).toEqual({ payments: 0, keys: 0 })
    expect((await api.send('POST', `/v1/payments/${paymentId}/capture`, {})).status).toBe(200)
    expect((await api.other.pay(others)).status).toBe(201)
    expect(await api.metrics()).toContain('gateway_stopped{operation="pay",cause="forbidden"} 1')
    expect(errorsIn(world)).toEqual([
      expect.objectContaining({
        resource: `pay of account ${accountId}`,
        err: expect.objectContaining({ cause: 'forbidden', request: 'create' }),
      }),
    ])

    await world.faults()
    await eventually('the account pays again', async () => (await api.pay(refused)).status === 201, { boundMs: 20_000 })
  })
})

describe('a payment method that the gateway does not accept', () => {
  it.each(['automatic', 'manual'])(
    'is 422 and recorded, the order is open again, and nobody is alarmed (%s)',
    async (capture) => {
      const { world, api } = await openApi()
      const [orderId = ''] = await openOrders(api.createOrder, 1)
      const refused = await api.pay(orderId, { paymentMethod: 'pm_does_not_exist', capture })
      expect([refused.status, refused.answer]).toEqual([
        422,
        expect.objectContaining({ code: 'payment-method-refused', declineCode: 'resource_missing', orderId }),
      ])
      const again = await api.pay(orderId, { paymentMethod: 'pm_does_not_exist', capture })
      expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([422, refused.text, 'true'])
      const shown = await api.send('GET', `/v1/payments/${refused.answer.paymentId}`)
      expect(shown.answer).toMatchObject({ state: 'declined', declinedBy: 'payment-method' })
      expect(errorsIn(world)).toEqual([])
      expect(await api.metrics()).not.toMatch(/gateway_requests_rejected_total\{/)
      expect((await api.pay(orderId, { key: randomUUID() })).status).toBe(201)
      expect(await world.charges(orderId)).toBe(1)
    },
  )
})

describe('a request of ours that the gateway refuses', () => {
  it.each(['create', 'confirm'])(
    'to a %s: says that the card was not asked, is recorded, opens the order again, and alarms operators',
    async (request) => {
      const { world, api } = await openApi()
      const [orderId = ''] = await openOrders(api.createOrder, 1)
      await world.faults({ on: request, kind: 'refuse', rate: 1 })
      const refused = await api.pay(orderId)
      expect([refused.status, refused.answer]).toEqual([
        424,
        expect.objectContaining({ code: 'gateway-refused-request', orderId }),
      ])
      expect(refused.text).toContain('the card was not asked')
      const again = await api.pay(orderId)
      expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([424, refused.text, 'true'])

      const { paymentId = '' } = refused.answer
      expect(await world.query({ text: historyOf, values: [paymentId] })).toEqual([
        { event: request, detail: 'rejected: parameter_unknown', message },
      ])
      const shown = await api.send('GET', `/v1/payments/${paymentId}`)
      expect(shown.answer).toMatchObject({ state: 'declined', declinedBy: 'gateway' })
      for (const { text } of [refused, shown]) expect(text).not.toContain(message)
      const nameOf = { text: 'SELECT gateway_key AS name FROM payments WHERE id = $1', values: [paymentId] }
      const [named] = await world.query<{ name: string }>(nameOf)
      expect(errorsIn(world)).toEqual([
        expect.objectContaining({
          msg: 'the gateway refused a request of ours: repair it, no client can',
          resource: named?.name,
          err: expect.objectContaining({ request, status: 400, errorCode: 'parameter_unknown', message }),
        }),
      ])
      expect(await api.metrics()).toContain(`gateway_requests_rejected_total{request="${request}"} 1`)

      await world.faults()
      expect((await api.pay(orderId, { key: randomUUID() })).status).toBe(201)
      expect(await world.charges(orderId)).toBe(1)
    },
  )

  it('to a capture: keeps the money reserved and the capture open, and alarms operators at once', async () => {
    const { world, api } = await openApi()
    const [orderId = ''] = await openOrders(api.createOrder, 1)
    const paymentId = (await api.pay(orderId, { capture: 'manual' })).answer.id
    await world.faults({ on: 'capture', kind: 'refuse', rate: 1 })
    const capture = (key: string) => api.send('POST', `/v1/payments/${paymentId}/capture`, {}, key)
    const key = randomUUID()
    expect((await capture(key)).status).toBe(202)
    expect(errorsIn(world)).toEqual([
      expect.objectContaining({ err: expect.objectContaining({ request: 'capture', message }) }),
    ])
    await world.faults()
    const worker = world.open('worker').payments.deps
    await eventually('recovery repeats the capture', () => recoverPayment(worker, paymentId), { boundMs: 20_000 })
    expect((await capture(key)).status).toBe(200)
    expect(await world.charges(orderId)).toBe(1)
  })

  it('to a refund: nothing is refunded, all of it can be refunded anew, and operators are alarmed', async () => {
    const { world, api } = await openApi()
    const [orderId = ''] = await openOrders(api.createOrder, 1)
    const paymentId = (await api.pay(orderId)).answer.id
    await world.faults({ on: 'refund', kind: 'refuse', rate: 1 })
    const refund = () => api.send('POST', `/v1/payments/${paymentId}/refunds`, {})
    const refused = await refund()
    expect([refused.status, refused.answer.code]).toEqual([402, 'refund-failed'])
    expect(refused.text).not.toContain(message)
    expect(errorsIn(world)).toEqual([
      expect.objectContaining({ err: expect.objectContaining({ request: 'refund', message }) }),
    ])
    await world.faults()
    expect((await refund()).status).toBe(201)
  })
})

const historyOf =
  'SELECT event, detail, gateway_message AS message FROM payment_events WHERE payment_id = $1 AND gateway_message IS NOT NULL'
