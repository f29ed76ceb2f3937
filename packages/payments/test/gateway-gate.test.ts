import { randomUUID } from 'node:crypto'
import { createGatewayGate, type Gateway, type GatewayGate, type RejectedRequest } from '@seatbelt/safety'
import { createLatch } from '@seatbelt/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createSubscriptionOperations, recoverPayment, retryPostponedNow } from '../src/index.ts'
import { brief, call, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let other: Replica
beforeAll(async () => {
  shop = await openShop()
  other = await shop.replica('other')
})
afterAll(() => shop?.close())

const gates: GatewayGate[] = []
afterEach(() => gates.splice(0).forEach((gate) => void gate.close()))

const unheard = { stopped: () => {}, inFlight: () => {}, refused: () => {}, skipped: () => {}, rejected: () => {} }
const away = { kind: 'unknown', reason: 'deadline', status: null, replayed: false, requestId: null } as const

/** A replica behind a gate with one place each, which notes what it sends and can be made to find its gateway away. */
async function gatedReplica(around: (real: Gateway) => Partial<Gateway> = () => ({})) {
  const sent: (keyof Gateway)[] = []
  let gate: GatewayGate | undefined
  let isAway = false
  const open = (real: Gateway) => {
    const note = <T>(name: keyof Gateway, send: () => Promise<T>) => {
      sent.push(name)
      return send()
    }
    const noting: Gateway = {
      ...real,
      createIntent: (parameters, key) => note('createIntent', () => real.createIntent(parameters, key)),
      confirmIntent: (...asked) => note('confirmIntent', () => real.confirmIntent(...asked)),
      cancelIntent: async (id, ...asked) => {
        const isKnock = id === 'pi_seatbelt_knock'
        if (isKnock) return isAway ? away : real.cancelIntent(id, ...asked)
        return note('cancelIntent', () => real.cancelIntent(id, ...asked))
      },
      retrieveIntent: (id) =>
        id === 'pi_away' ? Promise.resolve(away) : note('retrieveIntent', () => real.retrieveIntent(id)),
    }
    gate = createGatewayGate({
      gateway: { ...noting, ...around(noting) },
      slots: { forRequests: 1, forRecovery: 1 },
      metrics: unheard,
      onStop: () => {},
      onResume: () => isBack.open(),
      onRejected: (request) => void rejected.push(request),
    })
    gates.push(gate)
    return gate.gateway
  }
  const isBack = createLatch('work goes on again')
  const rejected: RejectedRequest[] = []
  const replica = await shop.replica('gated', {
    gateway: open,
    layers: () => ({ gatewayGate: gate as GatewayGate }),
  })
  return {
    ...replica,
    sent,
    rejected,
    isBack,
    goAway: async () => {
      isAway = true
      // A whole window of them, whatever was answered before.
      for (let answer = 0; answer < 30; answer++) await gate?.gateway.retrieveIntent('pi_away')
    },
    comeBack: () => {
      isAway = false
    },
  }
}

async function paymentsOf(orderId: string) {
  return shop.sql<{ generation: number; looks: number; next_attempt_at: Date }>(
    'SELECT generation, attempts, next_attempt_at FROM payments WHERE order_id = $1',
    [orderId],
  )
}

describe('while customers cannot be created', () => {
  it('the probe is a creation that the gateway refuses, and goes on until it is allowed', async () => {
    const kinds: string[] = []
    const hasProbed = createLatch('a probe was sent', { boundMs: 20_000 })
    const api = await gatedReplica((real) => ({
      createCustomer: async (metadata, key) => {
        const answer = await real.createCustomer(metadata, key)
        kinds.push(answer.kind === 'unknown' ? answer.reason : answer.kind)
        if (kinds.length === 2) hasProbed.open()
        return answer
      },
    }))
    const register = async () => {
      const request = { customerId: 'customer-1', gatewayCustomerId: null }
      const { registerGatewayCustomer } = createSubscriptionOperations(api.deps)
      return brief(await registerGatewayCustomer(call(randomUUID(), request), request))
    }
    await shop.faults({ on: 'create-customer', kind: 'forbidden', rate: 1 })
    expect(await register()).toBe('refused gateway-forbids-operation')
    await hasProbed.wait()
    expect(await register()).toBe('refused gateway-forbids-operation')
    expect(kinds).toEqual(['forbidden', 'forbidden'])
    await shop.faults()
    await api.isBack.wait()
    expect(kinds.at(-1)).toBe('rejected')
    expect(await register()).toBe('answered 201')
  })
})

describe('while everything is stopped', () => {
  it('a payment is refused without a trace, a recorded answer is replayed, and the same key pays later', async () => {
    const api = await gatedReplica()
    const [before, orderId] = [await api.createOrder(), await api.createOrder()]
    const [keyBefore, key] = [randomUUID(), randomUUID()]
    expect(brief(await api.pay(before, keyBefore))).toBe('answered 201')
    await api.goAway()

    const refused = await api.pay(orderId, key)
    expect(refused).toEqual({
      kind: 'refused',
      refusal: { code: 'temporarily-unavailable', retryAfterSeconds: expect.any(Number) },
    })
    expect(await paymentsOf(orderId)).toEqual([])
    expect(await shop.sql('SELECT 1 FROM idempotency_keys WHERE key = $1', [key])).toEqual([])
    expect(await shop.sql('SELECT state::text, version FROM orders WHERE id = $1', [orderId])).toEqual([
      { state: 'pending', version: 0 },
    ])
    expect(await api.pay(before, keyBefore)).toMatchObject({ kind: 'answered', replayed: true })

    api.comeBack()
    await api.isBack.wait()
    expect(brief(await api.pay(orderId, key))).toBe('answered 201')
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('recovery takes nothing, so that no look is counted and no pause grows', async () => {
    const api = await gatedReplica()
    const orderId = await other.createOrder()
    const key = randomUUID()
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, metadata: { orderId } })
    expect(brief(await other.pay(orderId, key))).toBe('unsettled')
    await letLeasesRunOut(shop)
    const [before] = await paymentsOf(orderId)
    await api.goAway()
    expect(await recoverPayment(api.deps)).toBeNull()
    expect(brief(await api.pay(orderId, key))).toBe('unsettled')
    expect(await paymentsOf(orderId)).toEqual([before])
    await shop.faults()
    expect(await recoverPayment(other.deps)).toMatchObject({ result: { kind: 'answered' } })
  })

  it('a payment that was created is not confirmed any more; recovery finishes it', async () => {
    const api = await gatedReplica((real) => ({
      createIntent: async (parameters, key) => {
        const answer = await real.createIntent(parameters, key)
        await api.goAway()
        return answer
      },
    }))
    const orderId = await api.createOrder()
    expect(brief(await api.pay(orderId))).toBe('unsettled')
    expect(api.sent).toEqual(['createIntent'])
    await letLeasesRunOut(shop)
    expect(await recoverPayment(other.deps)).toMatchObject({ result: { kind: 'answered', answer: { status: 201 } } })
    expect(await shop.charges(orderId)).toHaveLength(1)
  })

  it('a payment that was declined meanwhile is still fenced, so that its order is open again at once', async () => {
    const api = await gatedReplica((real) => ({
      confirmIntent: async (...asked) => {
        const answer = await real.confirmIntent(...asked)
        await api.goAway()
        return answer
      },
    }))
    const orderId = await api.createOrder()
    await shop.faults({ on: 'confirm', kind: 'decline', rate: 1, metadata: { orderId } })
    expect(brief(await api.pay(orderId))).toBe('answered 402')
    await shop.faults()
    expect(api.sent).toEqual(['createIntent', 'confirmIntent', 'cancelIntent'])
  })
})

describe('when all places are taken', () => {
  it('another order is refused; a copy of the payment that has the place hears what it would hear anyway', async () => {
    const [isHeld, goOn] = [createLatch('the payment has the place'), createLatch('the gateway answers')]
    const api = await gatedReplica((real) => ({
      confirmIntent: async (...asked) => {
        isHeld.open()
        await goOn.wait()
        return real.confirmIntent(...asked)
      },
    }))
    const [held, orderId] = [await api.createOrder(), await api.createOrder()]
    const paying = api.pay(held)
    await isHeld.wait()
    expect(brief(await api.pay(orderId))).toBe('refused temporarily-unavailable')
    expect(await paymentsOf(orderId)).toEqual([])
    expect(brief(await api.pay(held))).toBe('refused payment-in-progress')
    goOn.open()
    expect(brief(await paying)).toBe('answered 201')
  })
})

describe('when the gateway is back', () => {
  it('what was put off is due at once, in whatever number of processes; owned, reviewed and settled payments are left alone', async () => {
    const orders = await Promise.all(Array.from({ length: 6 }, () => other.createOrder()))
    const [owned = '', reviewed = '', ...putOff] = orders
    await shop.faults({ on: 'create', kind: 'drop-before', rate: 1 })
    for (const orderId of orders) expect(brief(await other.pay(orderId))).toBe('unsettled')
    await shop.faults()
    await shop.sql(`UPDATE payments SET next_attempt_at = now() + interval '20 seconds' WHERE state = 'processing'`)
    await shop.sql(`UPDATE payments SET leased_until = now() + interval '1 minute' WHERE order_id = $1`, [owned])
    await shop.sql(`UPDATE payments SET state = 'needs_review' WHERE order_id = $1`, [reviewed])
    const read = () => shop.sql<{ order_id: string; next_attempt_at: Date }>('SELECT * FROM payments ORDER BY id')
    const before = await read()

    const counts = await Promise.all(
      [other, await shop.replica('third')].map(({ database }) => retryPostponedNow(database)),
    )
    expect(counts.reduce((sum, count) => sum + count)).toBe(putOff.length)
    const after = await read()
    const isPutOff = ({ order_id }: { order_id: string }) => putOff.includes(order_id)
    expect(after.filter((row) => !isPutOff(row))).toEqual(before.filter((row) => !isPutOff(row)))
    const rest = ({ next_attempt_at: _, ...row }: { next_attempt_at: Date }) => row
    expect(after.map(rest)).toEqual(before.map(rest))
    for (let i = 0; i < putOff.length; i++)
      expect(await recoverPayment(other.deps)).toMatchObject({ result: { kind: 'answered' } })
  })

  it('the same of refunds: what the bank takes its time for is left alone', async () => {
    const orderId = await other.createOrder()
    const put = (state: string, gatewayRefundId: string | null) =>
      shop.sql(
        `INSERT INTO refunds (id, account_id, order_id, origin, amount_minor, currency, state, next_attempt_at, gateway_intent_id, gateway_charge_id, gateway_refund_id)
         SELECT gen_random_uuid(), account_id, id, 'reconciliation', 1, currency, $2::refund_state, now() + interval '20 seconds', 'pi', $3, $4 FROM orders WHERE id = $1`,
        [orderId, state, `ch_${state}`, gatewayRefundId],
      )
    await put('processing', null)
    await put('pending', 're_pending')
    await put('needs_review', null)
    expect(await retryPostponedNow(other.database)).toBe(1)
    expect(await shop.sql('SELECT state::text FROM refunds WHERE next_attempt_at <= clock_timestamp()')).toEqual([
      { state: 'processing' },
    ])
  })
})
