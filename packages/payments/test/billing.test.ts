import { randomUUID } from 'node:crypto'
import { CommitUnknown, developmentAccounts, type RollBack, type Tx } from '@seatbelt/database'
import { intervalUnits, longestIntervals } from '@seatbelt/domain'
import { StaleFence } from '@seatbelt/locks'
import type { Gateway, GatewayAnswer } from '@seatbelt/safety'
import { createLatch, eventually, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  applyGatewayEvent,
  createSubscriptionOperations,
  drawBillingFence,
  type PaymentLayers,
  readBillingHour,
  recoverPayment,
} from '../src/index.ts'
import { type BillingShop, bill, hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { createMortal } from './crash-points.ts'
import {
  accountId,
  bodyOf,
  brief,
  call,
  letLeasesRunOut,
  letTimePass,
  openShop,
  type Replica,
  type Shop,
} from './shop.ts'

let shop: Shop
let billing: BillingShop
let worker: Replica
let other: Replica
let hours = 1
const strangerId = developmentAccounts[1].id

/** Later than all hours before it, and than every pause that was begun in them. */
function nextHour(later = 1): Date {
  hours += later
  return hoursFromNow(hours)
}
const days = (count: number) => count * 24

beforeAll(async () => {
  shop = await openShop()
  billing = openBillingShop(shop)
  worker = await shop.replica('worker-1')
  other = await shop.replica('worker-2')
})
afterEach(() => shop.closeReplicas('mortal-'))
afterAll(() => shop?.close())
beforeEach(async () => {
  await shop.faults()
  // What the test before left is not this one's: its runs ask for all that is due.
  await shop.sql(`UPDATE subscriptions SET state = 'cancelled'`)
})

const operations = (replica: Replica) => createSubscriptionOperations(replica.deps)

function cancel(replica: Replica, id: string) {
  return operations(replica).cancelSubscription(call(randomUUID(), { cancel: id }), id)
}

function changePaymentMethod(replica: Replica, subscriptionId: string, paymentMethod: string) {
  const change = { subscriptionId, paymentMethod }
  return operations(replica).changePaymentMethod(call(randomUUID(), change), change)
}

/** A replica whose requests of one kind halt just before they are sent. */
async function haltingReplica(by: string, request: keyof Gateway) {
  const [reached, goOn] = [createLatch(`${by} reached ${request}`), createLatch(`${by} goes on`, { boundMs: 20_000 })]
  const replica = await shop.replica(by, {
    gateway: (real) => ({
      ...real,
      [request]: async (...parameters: unknown[]) => {
        reached.open()
        await goOn.wait()
        return (real[request] as (...parameters: unknown[]) => unknown)(...parameters)
      },
    }),
  })
  return { replica, reached, goOn }
}

const refusal: GatewayAnswer = { kind: 'rejected', status: 400, errorCode: 'parameter_unknown', requestId: 'req_1' }

/** A replica whose release sends a request that the gateway refuses, whatever the card. */
function refusedReplica(by: string, request: 'createIntent' | 'confirmIntent') {
  return shop.replica(by, { gateway: (real) => ({ ...real, [request]: async () => refusal }) })
}

/** A run of an hour that is over, as all real ones are: what was due by then, and no moment of the run itself. */
async function pastHour(subscriptionId: string): Promise<Date> {
  await shop.sql(`UPDATE subscriptions SET next_due_at = now() - interval '2 hours' WHERE id = $1`, [subscriptionId])
  return hoursFromNow(-1)
}

/** As if the subscription had been created so many months ago and never been billed. */
async function fallBehind(subscriptionId: string, months: number): Promise<void> {
  await shop.sql(
    `UPDATE subscriptions SET anchor = anchor - make_interval(months => $2), next_due_at = next_due_at - make_interval(months => $2)
      WHERE id = $1`,
    [subscriptionId, months],
  )
}

describe('a run', () => {
  it('charges what fell due, off session, and moves the subscription on to its next period', async () => {
    const id = await billing.subscribe(worker, { anchor: '2026-01-31T09:00:00' })
    const hour = nextHour()
    expect(await lead(worker, hour)).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([1])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 1 }])
    const found = await operations(worker).findSubscription(accountId, id)
    const [invoice] = found?.invoices ?? []
    expect(found?.subscription.nextPeriod).toBe((invoice?.period ?? 0) + 1)
    expect(found?.subscription.nextDueAt.getTime()).toBeGreaterThan(Date.now())
    const rows = await shop.sql(
      `SELECT o.state, o.purpose, p.intent_parameters->>'offSessionCustomer' = s.gateway_customer_id AS "offSession"
         FROM orders o JOIN payments p ON p.order_id = o.id JOIN invoices i ON i.order_id = o.id
         JOIN subscriptions s ON s.id = i.subscription_id WHERE s.id = $1`,
      [id],
    )
    expect(rows).toEqual([{ state: 'paid', purpose: 'invoice', offSession: true }])
    expect(
      await shop.sql('SELECT led_by, invoiced, charged, declined FROM billing_runs WHERE hour = $1', [hour]),
    ).toEqual([{ led_by: 'worker-1', invoiced: 1, charged: 1, declined: 0 }])
  })

  it('that was finished does nothing when it is started again', async () => {
    const id = await billing.subscribe(worker)
    const hour = nextHour()
    await lead(worker, hour)
    const late = await billing.subscribe(worker)
    expect(await lead(other, hour)).toBe('finished-before')
    expect(await billing.chargesOf(id)).toEqual([1])
    expect(await billing.invoicesOf(late)).toEqual([])
  })

  it('has no order that a merchant could pay or cancel', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, nextHour())
    const [invoice] = await billing.invoicesOf(id)
    expect(brief(await worker.pay(invoice?.order_id ?? ''))).toBe('refused order-managed')
    expect(brief(await worker.cancel(invoice?.order_id ?? ''))).toBe('refused order-managed')
  })

  it('charges one period at a time of who is behind, also when it is taken up again by another leader', async () => {
    const id = await billing.subscribe(worker)
    await fallBehind(id, 2)
    const hour = nextHour()
    const stop = new AbortController()
    const stopped = await shop.replica('stopped', {
      // It is stopped as soon as it has charged.
      gateway: (real) => ({
        ...real,
        confirmIntent: (...parameters) => real.confirmIntent(...parameters).finally(() => stop.abort()),
      }),
    })
    expect(await lead(stopped, hour, stop.signal)).toBe('unfinished')
    expect(await lead(other, hour)).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([1])
    await lead(other, nextHour())
    expect(await billing.chargesOf(id)).toEqual([1, 1])
    await lead(other, nextHour())
    await lead(other, nextHour())
    expect(await billing.chargesOf(id)).toEqual([1, 1, 1])
  })

  it('tries what came to nothing once, though it is stopped and taken up again within its hour', async () => {
    const id = await billing.subscribe(worker)
    const hour = await pastHour(id)
    const stop = new AbortController()
    const stopped = await shop.replica('refused-and-stopped', {
      gateway: (real) => ({
        ...real,
        confirmIntent: async () => {
          stop.abort()
          return refusal
        },
      }),
    })
    expect(await lead(stopped, hour, stop.signal)).toBe('unfinished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', tries: 1 }])
    expect(await lead(other, hour)).toBe('finished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', tries: 1 }])
    await lead(other, nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', tries: 2 }])
  })

  it('leaves to a later one what recovery has cancelled within its hour', async () => {
    const id = await billing.subscribe(worker)
    const hour = await pastHour(id)
    const stop = new AbortController()
    const stopped = await shop.replica('stopped-at-confirm', {
      gateway: (real) => ({
        ...real,
        confirmIntent: async () => {
          stop.abort()
          return { kind: 'unknown', reason: 'deadline', status: null, replayed: false, requestId: null }
        },
      }),
    })
    expect(await lead(stopped, hour, stop.signal)).toBe('unfinished')
    await letTimePass(shop, '1 hour')
    await recoverPayment(other.deps)
    expect(await lead(other, hour)).toBe('finished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 1 }])
    await lead(other, nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', tries: 2 }])
  })

  it.each([
    { how: 'paid', card: 'pm_card_visa', after: 'confirmIntent', type: 'payment_intent.succeeded' },
    { how: 'declined', card: 'pm_card_chargeCustomerFail', after: 'cancelIntent', type: 'payment_intent.canceled' },
    { how: 'refused', card: 'pm_card_visa', after: 'cancelIntent', type: 'payment_intent.canceled' },
  ] as const)('counts what the gateway told first: $how', async ({ how, card, after, type }) => {
    const id = await billing.subscribe(worker, { card })
    const outrun = await shop.replica(`outrun-${how}`, {
      gateway: (real) => ({
        ...real,
        ...(how === 'refused' && { confirmIntent: async () => refusal }),
        // The event is applied while the answer is still on its way to the leader.
        [after]: async (...parameters: unknown[]) => {
          const answer = await (real[after] as (...parameters: unknown[]) => Promise<GatewayAnswer>)(...parameters)
          if (answer.kind !== 'intent') throw new Error(`not ${type}: ${answer.kind}`)
          const named = { accountId: null, paymentId: null, refundId: null }
          const subject = { kind: 'intent', intentId: answer.intent.id, named, shown: answer.intent } as const
          const event = { id: `evt_${randomUUID()}`, type, requestId: null, subject }
          expect(await applyGatewayEvent(other.deps, event)).toBe('applied')
          return answer
        },
      }),
    })
    const hour = nextHour()
    expect(await lead(outrun, hour)).toBe('finished')
    const [charged, declined] = [how === 'paid' ? 1 : 0, how === 'declined' ? 1 : 0]
    expect(await billing.chargesOf(id)).toEqual([charged])
    expect(await billing.invoicesOf(id)).toMatchObject([{ declines: declined, tries: 1 }])
    const counted = 'SELECT invoiced, charged, declined FROM billing_runs WHERE hour = $1'
    expect(await shop.sql(counted, [hour])).toEqual([{ invoiced: 1, charged, declined }])
    expect(outrun.faults).toEqual([])
  })

  it('goes through more than one page: whoever stands on a later one is charged in the same run', async () => {
    const id = await billing.subscribe(worker)
    await shop.sql(
      `INSERT INTO subscriptions (id, account_id, customer_id, gateway_customer_id, payment_method, amount_minor, currency,
                                  interval_unit, interval_count, time_zone, anchor, next_due_at)
       SELECT gen_random_uuid(), account_id, customer_id, gateway_customer_id, payment_method, amount_minor, currency,
              interval_unit, interval_count, time_zone, anchor, next_due_at
         FROM subscriptions, generate_series(1, 109) WHERE id = $1`,
      [id],
    )
    const hour = nextHour()
    expect(await lead(worker, hour)).toBe('finished')
    expect(await shop.sql('SELECT invoiced, charged FROM billing_runs WHERE hour = $1', [hour])).toEqual([
      { invoiced: 110, charged: 110 },
    ])
  })

  it('goes by the clock of the database, though those of the processes are minutes apart', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 7 * 60_000 })
    try {
      const shown = await readBillingHour(worker.deps, 3_600)
      const [row] = await shop.sql<{ now: Date }>('SELECT clock_timestamp() AS now')
      const nowMs = row?.now.getTime() ?? 0
      expect(nowMs - shown.hour.getTime()).toBeGreaterThanOrEqual(0)
      expect(shown.hour.getTime() % 3_600_000).toBe(0)
      expect(Math.abs(shown.hour.getTime() + 3_600_000 - nowMs - shown.restMs)).toBeLessThan(5_000)
      // Its first period begins now, not in seven minutes: a run of the database's present finds it.
      const id = await billing.subscribe(worker)
      const fence = await drawBillingFence(worker.database)
      const [now] = await shop.sql<{ at: Date }>(`SELECT date_trunc('second', clock_timestamp()) AS at`)
      await bill(worker, { hour: now?.at ?? new Date(0), fence })
      expect(await billing.chargesOf(id)).toEqual([1])
    } finally {
      vi.useRealTimers()
    }
  })

  it('claims nothing while the gateway is away, is not finished then, and goes on when it is back', async () => {
    const id = await billing.subscribe(worker)
    const away = await shop.replica('away', {
      layers: () => ({
        gatewayGate: {
          forRequests: (work) => work(),
          forRecovery: async () => ({ kind: 'not-admitted', reason: 'circuit-open', retryAfterSeconds: 1 }) as const,
        },
      }),
    })
    const hour = nextHour()
    expect(await lead(away, hour)).toBe('unfinished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', tries: 0 }])
    expect(await lead(worker, hour)).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('goes on with the others where one cannot be billed, and says so', async () => {
    const broken = await billing.subscribe(worker)
    const ids = [await billing.subscribe(worker), await billing.subscribe(worker)]
    // As when a process is started with other time zones than the one that took the subscription.
    await shop.sql(
      `UPDATE subscriptions SET time_zone = 'Europe/Atlantis', next_due_at = next_due_at - interval '1 day' WHERE id = $1`,
      [broken],
    )
    const before = worker.faults.length
    expect(await lead(worker, nextHour())).toBe('finished')
    for (const id of ids) expect(await billing.chargesOf(id)).toEqual([1])
    expect(worker.faults.length).toBe(before + 1)
    expect(await billing.invoicesOf(broken)).toEqual([])
  })
})

describe('several copies that all run', () => {
  it('at once and without an election: each due period is charged once', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => billing.subscribe(worker)))
    const copies = await Promise.all(['copy-1', 'copy-2', 'copy-3'].map((by) => shop.replica(by)))
    const hour = nextHour()
    // One fence for all: as if nobody had ever been elected.
    const fence = await drawBillingFence(worker.database)
    const billed = await raceCopies(3, (copy) => bill(replicaAt(copies, copy), { hour, fence }))
    expect(valuesOf(billed)).toHaveLength(3)
    // Whoever met another one at an order left it to that one, or to this.
    await lead(worker, nextHour())
    for (const id of ids) expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('one of which had read what is due before another one tried it: a declined invoice is not tried again at once', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    const { replica, reached, goOn } = await pausedBeforeClaims('copy-4')
    const fence = await drawBillingFence(worker.database)
    const run = { hour: nextHour(), fence }
    const late = bill(replica, run)
    await reached.wait()
    await bill(worker, run)
    goOn.open()
    await late
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 1, tries: 1 }])
  })

  it('and depose each other: each due period is charged once, when the last one is through', async () => {
    const ids = await Promise.all(Array.from({ length: 4 }, () => billing.subscribe(worker)))
    const copies = await Promise.all(['duel-1', 'duel-2', 'duel-3'].map((by) => shop.replica(by)))
    const hour = nextHour()
    const ends = await raceCopies(3, (copy) => lead(replicaAt(copies, copy), hour))
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(StaleFence)
    await lead(worker, hour)
    await lead(worker, nextHour())
    for (const id of ids) expect(await billing.chargesOf(id)).toEqual([1])
  })
})

function replicaAt(replicas: readonly Replica[], index: number): Replica {
  const replica = replicas[index]
  if (!replica) throw new Error(`there is no copy ${index}`)
  return replica
}

describe('a leader that is killed', () => {
  const passage = async () => {
    const mortal = createMortal()
    const replica = await shop.replica(`mortal-${randomUUID().slice(0, 8)}`, mortal.parts)
    return { mortal, replica }
  }

  it('at any point of its run is followed by another one, and the due period is charged once', async () => {
    const whole = await passage()
    await billing.subscribe(worker)
    const points = await whole.mortal.passedBy(() => lead(whole.replica, nextHour()))
    expect(points).toContain('after confirmIntent 1')
    for (const point of points) {
      await shop.sql(`UPDATE subscriptions SET state = 'cancelled'`)
      const id = await billing.subscribe(worker)
      const { mortal, replica } = await passage()
      const hour = nextHour()
      await mortal.dieAt(point, () => lead(replica, hour))
      await lead(other, hour)
      await letLeasesRunOut(shop)
      await recoverPayment(other.deps)
      await lead(other, nextHour())
      expect({ point, charges: await billing.chargesOf(id) }).toEqual({ point, charges: [1] })
      expect({ point, invoices: await billing.invoicesOf(id) }).toMatchObject({ point, invoices: [{ state: 'paid' }] })
    }
  }, 120_000)
})

describe('a leader that is paused until another one leads', () => {
  it('just before it claims: it starts no charge any more', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await pausedBeforeClaims('paused-1')
    const hour = nextHour()
    const late = lead(replica, hour).catch((fault: unknown) => fault)
    await reached.wait()
    // The next leader has its fence, and has done nothing yet.
    await drawBillingFence(other.database)
    goOn.open()
    expect(await late).toBeInstanceOf(StaleFence)
    expect(await billing.chargesOf(id)).toEqual([0])
    await lead(other, hour)
    expect(await billing.chargesOf(id)).toEqual([1])
    const rows = await shop.sql(
      `SELECT by FROM payment_events e JOIN payments p ON p.id = e.payment_id JOIN invoices i ON i.order_id = p.order_id
        WHERE i.subscription_id = $1 AND event = 'claimed'`,
      [id],
    )
    expect(rows).toEqual([{ by: 'worker-2' }])
  })

  it('while it is at the gateway: it does not call a run finished that another one is still at', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await haltingReplica('paused-2', 'confirmIntent')
    const hour = nextHour()
    const late = lead(replica, hour).catch((fault: unknown) => fault)
    await reached.wait()
    await drawBillingFence(other.database)
    goOn.open()
    // Its charge was claimed while it led, and is written down: what the gateway said is never thrown away.
    expect(await late).toBeInstanceOf(StaleFence)
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', tries: 1 }])
    expect(await shop.sql('SELECT finished_at FROM billing_runs WHERE hour = $1', [hour])).toEqual([
      { finished_at: null },
    ])
  })

  it('until its payment was recovered: one decline is counted, whoever settles', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    const { replica, reached, goOn } = await haltingReplica('paused-3', 'cancelIntent')
    const late = lead(replica, nextHour())
    await reached.wait()
    await letLeasesRunOut(shop)
    await recoverPayment(other.deps)
    goOn.open()
    await late
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 1, tries: 1 }])
  })
})

/** Halts where it has read what is due, and has not yet asked for the order's lock. */
async function pausedBeforeClaims(by: string) {
  const [reached, goOn] = [createLatch(`${by} is about to claim`), createLatch(`${by} goes on`)]
  const replica = await shop.replica(by, {
    layers: (real): Partial<PaymentLayers> => ({
      redisLock: async (resource, work) => {
        reached.open()
        await goOn.wait()
        return real.redisLock(resource, work)
      },
    }),
  })
  return { replica, reached, goOn }
}

describe('an outcome that is not known', () => {
  it('is no decline and brings no second charge, and the next period waits for it', async () => {
    const id = await billing.subscribe(worker)
    await fallBehind(id, 1)
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1 })
    await lead(worker, nextHour())
    await shop.faults()
    await lead(worker, nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 1 }])
    expect(await billing.chargesOf(id)).toEqual([1])
    await letLeasesRunOut(shop)
    await recoverPayment(other.deps)
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 1 }])
    await lead(worker, nextHour())
    expect(await billing.chargesOf(id)).toEqual([1, 1])
  })

  it('that recovery ends by cancelling is no decline, and a later run tries anew', async () => {
    const id = await billing.subscribe(worker)
    await shop.faults({ on: 'confirm', kind: 'drop-before', rate: 1, times: 1 })
    await lead(worker, nextHour())
    await letTimePass(shop, '1 hour')
    await recoverPayment(other.deps)
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 1 }])
    await lead(worker, nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 2 }])
    expect(await billing.chargesOf(id)).toEqual([1])
  })
})

describe('a card that declines', () => {
  it('is tried three times, a day and then six days apart; then the invoice is uncollectible and the subscription past due', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    const seen = async () => {
      const [invoice] = await billing.invoicesOf(id)
      return [invoice?.state, invoice?.declines, invoice?.tries, await billing.stateOf(id)].join(' ')
    }
    await lead(worker, nextHour())
    expect(await seen()).toBe('open 1 1 active')
    await lead(worker, hoursFromNow(days(1) - 1))
    expect(await seen()).toBe('open 1 1 active')
    await lead(worker, hoursFromNow(days(1) + 1))
    expect(await seen()).toBe('open 2 2 active')
    await lead(worker, hoursFromNow(days(6) - 1))
    expect(await seen()).toBe('open 2 2 active')
    await lead(worker, hoursFromNow(days(6) + 1))
    expect(await seen()).toBe('uncollectible 3 3 past_due')
    // Long after, though periods have come and gone.
    await lead(worker, hoursFromNow(days(100)))
    expect(await seen()).toBe('uncollectible 3 3 past_due')
    const orders = await shop.sql(
      'SELECT o.state FROM orders o JOIN invoices i ON i.order_id = o.id WHERE i.subscription_id = $1',
      [id],
    )
    expect(orders).toEqual([{ state: 'cancelled' }])
    expect(await billing.chargesOf(id)).toEqual([0])
  })

  it('counts once, though the settling COMMIT got no answer and is tried again', async () => {
    const settling = new Set<Tx>()
    let isLost = false
    const lossy = await shop.replica('lossy', {
      layers: (real): Partial<PaymentLayers> => ({
        compareAndSet: {
          ...real.compareAndSet,
          settlePayment: (tx, ...rest) => {
            settling.add(tx)
            return real.compareAndSet.settlePayment(tx, ...rest)
          },
        },
        transaction: async <T, R = never>(work: (tx: Tx, rollBack: RollBack<R>) => Promise<T>) => {
          let settles = false
          const result = await real.transaction<T, R>(async (tx, rollBack) => {
            const done = await work(tx, rollBack)
            settles = settling.has(tx)
            return done
          })
          if (!settles || isLost) return result
          isLost = true
          throw new CommitUnknown('the answer to COMMIT was lost')
        },
      }),
    })
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(lossy, nextHour())
    expect(isLost).toBe(true)
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 1, tries: 1 }])
  })
})

describe('a request of ours that the gateway refuses', () => {
  it.each(['createIntent', 'confirmIntent'] as const)(
    'at %s: says nothing of the card, and a person hears of it',
    async (request) => {
      const id = await billing.subscribe(worker)
      const refused = await refusedReplica(`refused-${request}`, request)
      for (let hour = 0; hour < 3; hour++) await lead(refused, nextHour())
      expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 3 }])
      expect(await billing.stateOf(id)).toBe('active')
      expect(refused.faults.map(String)).toEqual(Array(3).fill(expect.stringContaining('parameter_unknown')))
      await lead(worker, nextHour())
      expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 4 }])
    },
  )

  it('and whose intent recovery finds cancelled: it was noted who refused', async () => {
    const id = await billing.subscribe(worker)
    const cancelled = createLatch('the intent is cancelled')
    const refused = await shop.replica('refused-and-silent', {
      gateway: (real) => ({
        ...real,
        confirmIntent: async () => refusal,
        cancelIntent: async (...parameters) => {
          await real.cancelIntent(...parameters)
          cancelled.open()
          return { kind: 'unknown', reason: 'deadline', status: null, replayed: false, requestId: null }
        },
      }),
    })
    await lead(refused, nextHour())
    await cancelled.wait()
    await letLeasesRunOut(shop)
    await recoverPayment(other.deps)
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 1 }])
    const payments = await shop.sql(
      `SELECT p.state::text, decline_code, declined_by FROM payments p JOIN invoices i ON i.order_id = p.order_id WHERE subscription_id = $1`,
      [id],
    )
    expect(payments).toEqual([{ state: 'declined', decline_code: 'parameter_unknown', declined_by: 'gateway' }])
  })
})

describe('another payment method', () => {
  it('that comes while the old card is at the gateway is not held to what that one says', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    const { replica, reached, goOn } = await haltingReplica('replaced', 'confirmIntent')
    const late = lead(replica, hoursFromNow(0.01))
    await reached.wait()
    expect(brief(await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa')))).toBe('answered 200')
    goOn.open()
    await late
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 1 }])
    await lead(worker, hoursFromNow(0.02))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 2 }])
  })

  it('begins without the declines of the one before; the same one told again keeps its own', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, hoursFromNow(0.01))
    const [same] = await shop.sql<{ method: string }>(
      'SELECT payment_method AS method FROM subscriptions WHERE id = $1',
      [id],
    )
    await changePaymentMethod(worker, id, same?.method ?? '')
    await lead(worker, hoursFromNow(0.02))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 2, tries: 2 }])
    await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_chargeCustomerFail'))
    await lead(worker, hoursFromNow(0.03))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 1, tries: 3 }])
    expect(await billing.stateOf(id)).toBe('active')
  })

  it('leads out of past due with the next period, where the present one is the one that was given up', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    for (const later of [1, days(1) + 1, days(6) + 1]) await lead(worker, hoursFromNow(later))
    expect(await billing.stateOf(id)).toBe('past_due')
    await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa'))
    await lead(worker, hoursFromNow(days(6) + 2))
    expect(await billing.invoicesOf(id)).toMatchObject([{ period: 0, state: 'uncollectible' }])
    await lead(worker, hoursFromNow(days(32)))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }, { period: 1, state: 'paid' }])
  })

  it('leads out of past due: the uncollectible period rests, those missed are not charged, the present one is', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await fallBehind(id, 4)
    await shop.sql(
      "UPDATE subscriptions SET next_period = 1, next_due_at = next_due_at + interval '1 month' WHERE id = $1",
      [id],
    )
    for (const later of [1, days(1) + 1, days(6) + 1]) await lead(worker, nextHour(later))
    expect(await billing.stateOf(id)).toBe('past_due')
    const changed = await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa'))
    expect(bodyOf(changed)).toMatchObject({ state: 'active' })
    await lead(worker, nextHour())
    await lead(worker, nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([
      { period: 1, state: 'uncollectible' },
      { period: 4, state: 'paid' },
    ])
    expect(await billing.chargesOf(id)).toEqual([0, 1])
  })

  it('is tried for what is open in the next run, without the pause', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, hoursFromNow(0.01))
    expect(brief(await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa')))).toBe('answered 200')
    await lead(worker, hoursFromNow(0.02))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 2 }])
  })
})

describe('a cancelled subscription', () => {
  it('by several copies of one request at once: all hear the same', async () => {
    const id = await billing.subscribe(worker)
    const request = call(randomUUID(), { cancel: id })
    const copies = await raceCopies(4, () => operations(worker).cancelSubscription(request, id))
    const heard = valuesOf(copies)
    expect(heard).toHaveLength(4)
    expect(new Set(heard.map((result) => JSON.stringify({ ...result, replayed: null }))).size).toBe(1)
  })

  it('waits for a try that is just being claimed, which is then finished', async () => {
    const id = await billing.subscribe(worker)
    const [reached, goOn] = [createLatch('the try is taken'), createLatch('the claim goes on')]
    const claimer = await shop.replica('claimer', {
      layers: ({ compareAndSet }) => ({
        compareAndSet: {
          ...compareAndSet,
          startTry: async (...parameters) => {
            reached.open()
            await goOn.wait()
            return compareAndSet.startTry(...parameters)
          },
        },
      }),
    })
    const run = lead(claimer, nextHour())
    await reached.wait()
    const cancellation = cancel(await shop.replica('canceller'), id)
    await eventually('the cancellation waits', async () => {
      const waiting = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'canceller' AND wait_event_type = 'Lock'`
      return (await shop.sql(waiting)).length > 0
    })
    goOn.open()
    expect(brief(await cancellation)).toBe('answered 200')
    expect(await run).toBe('finished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', tries: 1 }])
    expect(await billing.stateOf(id)).toBe('cancelled')
  })

  it('is charged no more: what is open is given up with it', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, nextHour())
    expect(brief(await cancel(worker, id))).toBe('answered 200')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible', declines: 1 }])
    await lead(worker, nextHour(days(2)))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible', tries: 1 }])
    expect(brief(await cancel(worker, id))).toBe('refused subscription-cancelled')
    expect(brief(await changePaymentMethod(worker, id, 'pm_card_visa'))).toBe('refused subscription-cancelled')
  })

  it('is not charged by a leader that had read it before', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await pausedBeforeClaims('late-reader')
    const late = lead(replica, nextHour())
    await reached.wait()
    expect(brief(await cancel(worker, id))).toBe('answered 200')
    goOn.open()
    expect(await late).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([0])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible', tries: 0 }])
  })

  it.each([
    { card: 'pm_card_visa', invoice: 'paid', charges: 1 },
    { card: 'pm_card_chargeCustomerFail', invoice: 'uncollectible', charges: 0 },
  ])('while $card is at the gateway: its invoice ends $invoice', async ({ card, invoice, charges }) => {
    const id = await billing.subscribe(worker, { card })
    const { replica, reached, goOn } = await haltingReplica(`cancelled-${charges}`, 'confirmIntent')
    const late = lead(replica, nextHour())
    await reached.wait()
    expect(brief(await cancel(worker, id))).toBe('answered 200')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open' }])
    goOn.open()
    await late
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: invoice }])
    expect(await billing.chargesOf(id)).toEqual([charges])
    expect(await billing.stateOf(id)).toBe('cancelled')
  })

  it('of another account is not there', async () => {
    const id = await billing.subscribe(worker)
    const stranger = call(randomUUID(), { cancel: id }, strangerId)
    expect(brief(await operations(worker).cancelSubscription(stranger, id))).toBe('refused subscription-not-found')
    expect(await operations(worker).findSubscription(strangerId, id)).toBeNull()
    expect(await billing.stateOf(id)).toBe('active')
  })
})

describe('a new subscription', () => {
  it.each(intervalUnits)('has at most the longest interval in %ss, also for who writes it by hand', async (unit) => {
    const id = await billing.subscribe(worker)
    const set = (count: number) =>
      shop.sql('UPDATE subscriptions SET interval_unit = $2, interval_count = $3 WHERE id = $1', [id, unit, count])
    await set(longestIntervals[unit])
    await expect(set(longestIntervals[unit] + 1)).rejects.toThrow('subscriptions_interval_is_possible')
  })

  it('that is dated back, however far, is charged for the period of the present moment alone', async () => {
    const anchor = new Date()
    anchor.setUTCFullYear(anchor.getUTCFullYear() - 6)
    anchor.setUTCDate(anchor.getUTCDate() - 1)
    const id = await billing.subscribe(worker, { anchor: anchor.toISOString().slice(0, 19) })
    await lead(worker, nextHour())
    await lead(worker, nextHour())
    const invoices = await billing.invoicesOf(id)
    expect(invoices).toHaveLength(1)
    expect(invoices[0]?.period).toBeGreaterThan(60)
  })

  it('that begins later is not charged before', async () => {
    const id = await billing.subscribe(worker, { anchor: '2099-01-31T12:00:00' })
    await lead(worker, nextHour())
    expect(await billing.invoicesOf(id)).toEqual([])
  })
})
