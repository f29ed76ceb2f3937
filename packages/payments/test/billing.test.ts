import { randomUUID } from 'node:crypto'
import { CommitUnknown, type Database, developmentAccounts, sql } from '@seatbelt/database'
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
import { hookedTransaction, isOrderRead, isSettleRead } from './hooked-transaction.ts'
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

/** Later than all hours before it, and later than every pause that began in them. */
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
  // The runs of a test bill all that is due, so nothing of the test before may be left.
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

const refusal: GatewayAnswer = {
  kind: 'rejected',
  status: 400,
  errorCode: 'parameter_unknown',
  about: 'request',
  message: null,
  requestId: 'req_1',
}

/** A replica whose release sends a request that the gateway refuses, for every card. */
function refusedReplica(by: string, request: 'createIntent' | 'confirmIntent') {
  return shop.replica(by, { gateway: (real) => ({ ...real, [request]: async () => refusal }) })
}

/** The hour of a run lies in the past, as in production: it bills what was due by then, and nothing of its own time. */
async function pastHour(subscriptionId: string): Promise<Date> {
  await shop.sql(`UPDATE subscriptions SET next_due_at = now() - interval '2 hours' WHERE id = $1`, [subscriptionId])
  return hoursFromNow(-1)
}

/** As if the subscription had been created so many months ago, without any run since. */
async function fallBehind(subscriptionId: string, months: number): Promise<void> {
  await shop.sql(
    `UPDATE subscriptions SET anchor = anchor - make_interval(months => $2), next_due_at = next_due_at - make_interval(months => $2)
      WHERE id = $1`,
    [subscriptionId, months],
  )
}

/** As if its last charge had been made the day before: a run charges a subscription once a day. */
function letDayPass(subscriptionId: string) {
  return shop.sql(
    `UPDATE invoices SET settled_at = settled_at - interval '25 hours', created_at = created_at - interval '25 hours'
      WHERE subscription_id = $1`,
    [subscriptionId],
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

  it('that is finished does nothing when it is started again', async () => {
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

  it('charges one period at a time where a customer is behind, also when another leader continues it', async () => {
    const id = await billing.subscribe(worker)
    await fallBehind(id, 2)
    const hour = nextHour()
    const stop = new AbortController()
    const stopped = await shop.replica('stopped', {
      // It stops as soon as it has charged.
      gateway: (real) => ({
        ...real,
        confirmIntent: (...parameters) => real.confirmIntent(...parameters).finally(() => stop.abort()),
      }),
    })
    expect(await lead(stopped, hour, stop.signal)).toBe('unfinished')
    expect(await lead(other, hour)).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([1])
    await lead(other, nextHour())
    expect(await billing.chargesOf(id)).toEqual([1])
    await letDayPass(id)
    await lead(other, nextHour())
    expect(await billing.chargesOf(id)).toEqual([1, 1])
  })

  it('tries an invoice once, although the gateway refuses it and another leader continues the run', async () => {
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

  it('leaves an invoice to a later run whose payment recovery cancelled within its hour', async () => {
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
  ] as const)('counts an outcome that the gateway’s event settled first: $how', async ({ how, card, after, type }) => {
    const id = await billing.subscribe(worker, { card })
    const outrun = await shop.replica(`outrun-${how}`, {
      gateway: (real) => ({
        ...real,
        ...(how === 'refused' && { confirmIntent: async () => refusal }),
        // The event is applied while the answer is still on its way to the leader.
        [after]: async (...parameters: unknown[]) => {
          const answer = await (real[after] as (...parameters: unknown[]) => Promise<GatewayAnswer>)(...parameters)
          if (answer.kind !== 'intent') throw new Error(`not ${type}: ${answer.kind}`)
          const named = { accountId: null, orderId: null, paymentId: null, refundId: null }
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

  it('goes through more than one page: a subscription on a later page is charged in the same run', async () => {
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

  it('uses the clock of the database, although the clocks of the processes are minutes apart', async () => {
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

  it('claims nothing while the gateway is away, stays unfinished, and continues when the gateway is back', async () => {
    const id = await billing.subscribe(worker)
    const away = await shop.replica('away', {
      layers: () => ({
        gatewayGate: {
          forRequests: (_, work) => work(),
          forRecovery: async () => ({ kind: 'not-admitted', reason: 'stopped', retryAfterSeconds: 1 }) as const,
        },
      }),
    })
    const hour = nextHour()
    expect(await lead(away, hour)).toBe('unfinished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', tries: 0 }])
    expect(await lead(worker, hour)).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('claims nothing for an account whose payments the gateway forbids, and the next run tries again', async () => {
    const id = await billing.subscribe(worker)
    const claims: unknown[] = []
    const forbidden = await shop.replica('forbidden', {
      layers: () => ({
        gatewayGate: {
          forRequests: (_, work) => work(),
          forRecovery: async (claim) => {
            claims.push(claim)
            return { kind: 'not-admitted', reason: 'forbidden', retryAfterSeconds: 1 } as const
          },
        },
      }),
    })
    const hour = nextHour()
    expect(await lead(forbidden, hour)).toBe('finished')
    expect(claims).toContainEqual({ accountId, operation: 'pay' })
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', tries: 0 }])
    expect(await lead(worker, nextHour())).toBe('finished')
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('bills the other subscriptions where one cannot be billed, and reports that one', async () => {
    const broken = await billing.subscribe(worker)
    const ids = [await billing.subscribe(worker), await billing.subscribe(worker)]
    // As when a process starts with other time zones than the process that created the subscription.
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
    // One fence for all, as if there were no election.
    const fence = await drawBillingFence(worker.database)
    const billed = await raceCopies(3, (copy) => bill(replicaAt(copies, copy), { hour, fence }))
    expect(valuesOf(billed)).toHaveLength(3)
    // A copy that met another copy at an order left it to that copy, or to this run.
    await lead(worker, nextHour())
    for (const id of ids) expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('and one read what is due before another tried it: a declined invoice is not tried again', async () => {
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

  it('and depose each other: each due period is charged once when the last one has ended', async () => {
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

  it('at any point of its run is followed by another leader, and the due period is charged once', async () => {
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
  it('just before it claims: it starts no charge', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await pausedBeforeClaims('paused-1')
    const hour = nextHour()
    const late = lead(replica, hour).catch((fault: unknown) => fault)
    await reached.wait()
    // The next leader has drawn its fence, and has done nothing else.
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

  it('while it waits for the gateway: it does not mark the run of another leader as finished', async () => {
    const id = await billing.subscribe(worker)
    const { replica, reached, goOn } = await haltingReplica('paused-2', 'confirmIntent')
    const hour = nextHour()
    const late = lead(replica, hour).catch((fault: unknown) => fault)
    await reached.wait()
    await drawBillingFence(other.database)
    goOn.open()
    // Its charge was claimed while it led, and is settled: evidence is never discarded.
    expect(await late).toBeInstanceOf(StaleFence)
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', tries: 1 }])
    expect(await shop.sql('SELECT finished_at FROM billing_runs WHERE hour = $1', [hour])).toEqual([
      { finished_at: null },
    ])
  })

  it('until its payment was recovered: one decline is counted', async () => {
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

/** Halts after it has read what is due, and before it acquires the order's lock. */
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
  it('is no decline and causes no second charge, and the next period waits for it', async () => {
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
    await letDayPass(id)
    await lead(worker, nextHour())
    expect(await billing.chargesOf(id)).toEqual([1, 1])
  })

  it('that recovery ends by cancelling is no decline, and a later run tries again', async () => {
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
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail', missedPeriods: 'skip' })
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
    // Long after, although several periods have passed.
    await lead(worker, hoursFromNow(days(100)))
    expect(await seen()).toBe('uncollectible 3 3 past_due')
    const orders = await shop.sql(
      'SELECT o.state FROM orders o JOIN invoices i ON i.order_id = o.id WHERE i.subscription_id = $1',
      [id],
    )
    expect(orders).toEqual([{ state: 'cancelled' }])
    expect(await billing.chargesOf(id)).toEqual([0])
  })

  it('counts once, although the settling COMMIT got no answer and is retried', async () => {
    const lossy = await shop.replica('lossy', {
      layers: ({ transaction }) => ({ transaction: losesFirstSettle(transaction) }),
    })
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(lossy, nextHour())
    expect(lossy.faults).toMatchObject([{ code: 'commit-unknown' }])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 1, tries: 1 }])
  })
})

/** The first settle is committed, and the answer to its COMMIT does not arrive. */
function losesFirstSettle(real: Database['transaction']): Database['transaction'] {
  let isLost = false
  return async (work) => {
    let isSettle = false
    const afterRead = async (text: string) => {
      isSettle ||= isSettleRead(text)
    }
    const result = await hookedTransaction(real, { afterRead })(work)
    if (!isSettle || isLost) return result
    isLost = true
    throw new CommitUnknown('the answer to COMMIT was lost', { result })
  }
}

describe('a request of ours that the gateway refuses', () => {
  it.each(['createIntent', 'confirmIntent'] as const)(
    'at %s: is not held against the card, and is reported',
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

  it('and whose intent recovery finds cancelled: the note of the refusal is used', async () => {
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
  it('that arrives while the old card is at the gateway does not inherit its decline', async () => {
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

  it('begins without the declines of the former one; the same one sent again keeps its own', async () => {
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

  it('leads out of past due with the next period, if the present one was given up', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail', missedPeriods: 'skip' })
    for (const later of [1, days(1) + 1, days(6) + 1]) await lead(worker, hoursFromNow(later))
    expect(await billing.stateOf(id)).toBe('past_due')
    await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa'))
    await lead(worker, hoursFromNow(days(6) + 2))
    expect(await billing.invoicesOf(id)).toMatchObject([{ period: 0, state: 'uncollectible' }])
    await lead(worker, hoursFromNow(days(32)))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }, { period: 1, state: 'paid' }])
  })

  it('leads out of past due: of the periods up to now only the present one is charged', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail', missedPeriods: 'skip' })
    for (const later of [1, days(1) + 1, days(6) + 1]) await lead(worker, nextHour(later))
    expect(await billing.stateOf(id)).toBe('past_due')
    await fallBehind(id, 4)
    const changed = await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa'))
    expect(bodyOf(changed)).toMatchObject({ state: 'active' })
    await lead(worker, nextHour())
    await lead(worker, nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([
      { period: 0, state: 'uncollectible' },
      { period: 4, state: 'paid' },
    ])
    expect(await billing.chargesOf(id)).toEqual([0, 1])
  })

  it('is tried in the next run for what is open, without the pause', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, hoursFromNow(0.01))
    expect(brief(await changePaymentMethod(worker, id, await billing.attach(id, 'pm_card_visa')))).toBe('answered 200')
    await lead(worker, hoursFromNow(0.02))
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'paid', declines: 0, tries: 2 }])
  })
})

/** Resolves when a transaction of this replica waits for a lock. */
function isWaiting(by: string): Promise<unknown> {
  return eventually(`${by} waits`, async () => {
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`
    return (await shop.sql(waiting, [by])).length > 0
  })
}

describe('a cancelled subscription', () => {
  it('by several copies of one request at once: all receive the same answer', async () => {
    const id = await billing.subscribe(worker)
    const request = call(randomUUID(), { cancel: id })
    const copies = await raceCopies(4, () => operations(worker).cancelSubscription(request, id))
    const answers = valuesOf(copies)
    expect(answers).toHaveLength(4)
    expect(new Set(answers.map((result) => JSON.stringify({ ...result, replayed: null }))).size).toBe(1)
  })

  it('waits for a try that is just being claimed, and withdraws it', async () => {
    const customerId = 'customer-who-cancels'
    const id = await billing.subscribe(worker, { customerId })
    const [reached, goOn] = [createLatch('the claim has read'), createLatch('the claim goes on')]
    const isCancelled = createLatch('the cancellation is answered')
    const claimer = await shop.replica('claimer', {
      gateway: (real) => ({
        ...real,
        createIntent: (...parameters) => isCancelled.wait().then(() => real.createIntent(...parameters)),
      }),
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          // The claim's last read: it has locked the subscription, and its writes leave with COMMIT.
          afterRead: async (text, [order]) => {
            if (!isOrderRead(text) || order?.customerId !== customerId) return
            reached.open()
            await goOn.wait()
          },
        }),
      }),
    })
    const run = lead(claimer, nextHour())
    await reached.wait()
    const cancellation = cancel(await shop.replica('canceller'), id)
    await isWaiting('canceller')
    goOn.open()
    expect(brief(await cancellation)).toBe('answered 200')
    isCancelled.open()
    expect(await run).toBe('finished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible', tries: 1 }])
    expect(await billing.chargesOf(id)).toEqual([0])
    expect(await billing.stateOf(id)).toBe('cancelled')
  })

  it('is not charged any more: its open invoice is given up in the same commit', async () => {
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

  it('of another account is not found', async () => {
    const id = await billing.subscribe(worker)
    const stranger = call(randomUUID(), { cancel: id }, strangerId)
    expect(brief(await operations(worker).cancelSubscription(stranger, id))).toBe('refused subscription-not-found')
    expect(await operations(worker).findSubscription(strangerId, id)).toBeNull()
    expect(await billing.stateOf(id)).toBe('active')
  })
})

describe('a guarded write whose row has changed since it was read', () => {
  const readsSubscription = (text: string) => text.includes('AS anchor FROM subscriptions')

  /** A replica that runs `interfere` once, after the first such read and before the operation receives its rows. */
  function interfered(by: string, isRead: (text: string) => boolean, interfere: () => Promise<unknown>) {
    let reads = 0
    return shop.replica(by, {
      layers: ({ transaction }) => ({
        transaction: hookedTransaction(transaction, {
          afterRead: async (text, rows) => {
            if (isRead(text) && rows.length > 0 && ++reads === 1) await interfere()
          },
        }),
      }),
    })
  }

  it('version of the subscription: it was cancelled meanwhile, and is not invoiced', async () => {
    const id = await billing.subscribe(worker)
    const cancelIt = () =>
      shop.sql(`UPDATE subscriptions SET state = 'cancelled', version = version + 1 WHERE id = $1`, [id])
    await lead(await interfered('outdated-1', readsSubscription, cancelIt), nextHour())
    expect(await billing.invoicesOf(id)).toEqual([])
  })

  it('tries of the invoice: it was tried meanwhile, and is not tried at once again', async () => {
    const id = await billing.subscribe(worker)
    const tryIt = () =>
      shop.sql(
        `UPDATE invoices SET tries = tries + 1, next_try_at = now() + interval '100 days' WHERE subscription_id = $1`,
        [id],
      )
    const isInvoiceRead = (text: string) => text.includes('next_try_at FROM invoices')
    expect(await lead(await interfered('outdated-2', isInvoiceRead, tryIt), nextHour())).toBe('finished')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', tries: 1 }])
    expect(await billing.chargesOf(id)).toEqual([0])
  })

  it('tries of the invoice, in the settle: the decline counts on top of what changed meanwhile', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    const raise = () =>
      shop.sql('UPDATE invoices SET tries = tries + 1, declines = declines + 1 WHERE subscription_id = $1', [id])
    const isInvoiceRead = (text: string) => text.includes('AS now FROM invoices')
    await lead(await interfered('outdated-3', isInvoiceRead, raise), nextHour())
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 2, tries: 2 }])
  })

  it('version of the order: a cancellation waits for its change, and reads again', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, nextHour())
    const [invoice] = await billing.invoicesOf(id)
    const orderId = invoice?.order_id ?? ''
    const [isChanged, mayCommit] = [createLatch('the order is changed'), createLatch('the change may commit')]
    const change = other.database.transaction(async (tx) => {
      await tx.writeReturning(sql`UPDATE orders SET version = version + 1 WHERE id = ${orderId}::uuid RETURNING 1`)
      isChanged.open()
      await mayCommit.wait()
    })
    await isChanged.wait()
    const cancellation = cancel(await shop.replica('outdated-4'), id)
    await isWaiting('outdated-4')
    mayCommit.open()
    await change
    expect(brief(await cancellation)).toBe('answered 200')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }])
    expect(await shop.sql('SELECT state FROM orders WHERE id = $1', [orderId])).toEqual([{ state: 'cancelled' }])
  })

  it('indexes of the invoices, without that version: two copies make one invoice, without a fault', async () => {
    const id = await billing.subscribe(worker)
    const bothHaveRead = createLatch('both have read the subscription')
    let arrived = 0
    const withoutVersion = (text: string) =>
      text.includes('UPDATE subscriptions') ? text.replace(/ AND version = (\$\d+)/, ' AND $1::int IS NOT NULL') : text
    const copies = await Promise.all(
      ['twin-1', 'twin-2'].map((by) =>
        shop.replica(by, {
          layers: ({ transaction }) => ({
            transaction: hookedTransaction(transaction, {
              change: withoutVersion,
              afterRead: async (text, [row]) => {
                if (!readsSubscription(text) || row?.id !== id || arrived === 2) return
                if (++arrived === 2) bothHaveRead.open()
                await bothHaveRead.wait()
              },
            }),
          }),
        }),
      ),
    )
    const hour = nextHour()
    const fence = await drawBillingFence(worker.database)
    await raceCopies(2, (copy) => bill(replicaAt(copies, copy), { hour, fence }))
    expect(await billing.invoicesOf(id)).toMatchObject([{ period: 0 }])
    expect(copies.flatMap(({ faults }) => faults)).toEqual([])
  })
})

describe('a new subscription', () => {
  it.each(intervalUnits)('has at most the longest interval in %ss, also by a constraint of the table', async (unit) => {
    const id = await billing.subscribe(worker)
    const set = (count: number) =>
      shop.sql('UPDATE subscriptions SET interval_unit = $2, interval_count = $3 WHERE id = $1', [id, unit, count])
    await set(longestIntervals[unit])
    await expect(set(longestIntervals[unit] + 1)).rejects.toThrow('subscriptions_interval_is_possible')
  })

  it('whose anchor lies years back is charged for the present period only', async () => {
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

  it('that begins later is not charged before its anchor', async () => {
    const id = await billing.subscribe(worker, { anchor: '2099-01-31T12:00:00' })
    await lead(worker, nextHour())
    expect(await billing.invoicesOf(id)).toEqual([])
  })
})
