import { randomUUID } from 'node:crypto'
import type { GatewayAnswer } from '@seatbelt/safety'
import { createLatch, raceCopies, valuesOf } from '@seatbelt/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createSubscriptionOperations, recoverPayment } from '../src/index.ts'
import { type BillingShop, hoursFromNow, lead, openBillingShop } from './billing-shop.ts'
import { accountId, bodyOf, brief, call, letLeasesRunOut, openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let billing: BillingShop
let worker: Replica

beforeAll(async () => {
  shop = await openShop()
  billing = openBillingShop(shop)
  worker = await shop.replica('worker-1')
  await shop.sql(
    `INSERT INTO webhook_endpoints (account_id, url, secret) VALUES ($1, 'https://shop.example.com', 's')`,
    [accountId],
  )
})
afterAll(() => shop?.close())
beforeEach(async () => {
  await shop.faults()
  await shop.sql(`UPDATE subscriptions SET state = 'cancelled'`)
})

const operations = (replica: Replica) => createSubscriptionOperations(replica.deps)
const dueNow = () => hoursFromNow(0.01)
const days = (count: number) => hoursFromNow(count * 24)
const daily = { interval: { unit: 'day', count: 1 } } as const
const missed = (missedPeriods: 'skip' | 'collect') => ({ missedPeriods })

/** As if it had been created so many days ago, and no run had been since. */
async function fallBehind(id: string, count: number): Promise<void> {
  await shop.sql(
    `UPDATE subscriptions SET anchor = anchor - make_interval(days => $2), next_due_at = next_due_at - make_interval(days => $2)
      WHERE id = $1`,
    [id, count],
  )
}

/** As if its last charge had been made that much earlier. */
function letTimePass(id: string, interval: string) {
  return shop.sql(
    `UPDATE invoices SET settled_at = settled_at - $2::interval, created_at = created_at - $2::interval WHERE subscription_id = $1`,
    [id, interval],
  )
}

function changeMethod(subscriptionId: string, paymentMethod: string) {
  const change = { subscriptionId, paymentMethod }
  return operations(worker).changePaymentMethod(call(randomUUID(), change), change)
}

function payInvoice(invoiceId: string, key: string = randomUUID(), replica = worker) {
  return operations(replica).payInvoice(call(key, { pay: invoiceId }), invoiceId)
}

async function openInvoiceOf(id: string): Promise<string> {
  const invoice = (await billing.invoicesOf(id)).find(({ state }) => state === 'open')
  if (!invoice) throw new Error('there is no open invoice')
  return invoice.id
}

async function retryOf(id: string) {
  const [row] = await shop.sql<{ hours: number | null; refusals: number }>(
    `SELECT round(EXTRACT(epoch FROM next_try_at - clock_timestamp()) / 3600)::int AS hours, refusals
       FROM invoices WHERE subscription_id = $1 ORDER BY period DESC LIMIT 1`,
    [id],
  )
  return row
}

const refusal: GatewayAnswer = {
  ...{ kind: 'rejected', status: 400, errorCode: 'parameter_unknown', about: 'request' },
  ...{ message: null, requestId: 'req_1' },
}

describe('a subscription that five days of an outage left behind', () => {
  it.each(['skip', 'collect'] as const)('is charged once by five runs in a row (%s)', async (policy) => {
    const id = await billing.subscribe(worker, { ...daily, ...missed(policy) })
    await fallBehind(id, 5)
    for (let run = 0; run < 5; run++) await lead(worker, dueNow())
    expect((await billing.chargesOf(id)).reduce((sum, charges) => sum + charges, 0)).toBe(1)
  })

  it('skips the missed periods: only the present one is charged', async () => {
    const id = await billing.subscribe(worker, { ...daily, ...missed('skip') })
    await fallBehind(id, 5)
    await lead(worker, dueNow())
    expect(await billing.invoicesOf(id)).toMatchObject([{ period: 5, state: 'paid' }])
    await letTimePass(id, '25 hours')
    await lead(worker, dueNow())
    expect(await billing.invoicesOf(id)).toHaveLength(1)
  })

  it('collects the missed periods one a day', async () => {
    const id = await billing.subscribe(worker, { ...daily, ...missed('collect') })
    await fallBehind(id, 3)
    for (const period of [0, 1]) {
      await lead(worker, dueNow())
      await lead(worker, dueNow())
      expect((await billing.invoicesOf(id)).map((invoice) => invoice.period)).toEqual(
        Array.from({ length: period + 1 }, (_, index) => index),
      )
      // Within the same 24 hours another calendar day begins: that is too early for a period that was due before.
      await letTimePass(id, '20 hours')
      await lead(worker, dueNow())
      expect(await billing.invoicesOf(id)).toHaveLength(period + 1)
      await letTimePass(id, '5 hours')
    }
    await lead(worker, dueNow())
    expect(await billing.chargesOf(id)).toEqual([1, 1, 1])
  })
})

describe('a reactivation', () => {
  async function pastDue(policy: 'skip' | 'collect'): Promise<string> {
    const id = await billing.subscribe(worker, { ...missed(policy), card: 'pm_card_chargeCustomerFail' })
    for (const hour of [dueNow(), hoursFromNow(25), hoursFromNow(6 * 24 + 1)]) await lead(worker, hour)
    expect(await billing.stateOf(id)).toBe('past_due')
    return id
  }

  it('collects the unpaid period, which stayed open, with the new method', async () => {
    const id = await pastDue('collect')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 3 }])
    await lead(worker, days(30))
    expect(await billing.invoicesOf(id)).toMatchObject([{ tries: 3 }])
    const changed = await changeMethod(id, await billing.attach(id, 'pm_card_visa'))
    expect(bodyOf(changed)).toMatchObject({ state: 'active' })
    await lead(worker, dueNow())
    expect(await billing.invoicesOf(id)).toMatchObject([{ period: 0, state: 'paid' }])
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('with the same method tries once more, and is past due again', async () => {
    const id = await pastDue('collect')
    const [same] = await shop.sql<{ method: string }>(
      'SELECT payment_method AS method FROM subscriptions WHERE id = $1',
      [id],
    )
    await changeMethod(id, same?.method ?? '')
    await lead(worker, dueNow())
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 3, tries: 4 }])
    expect(await billing.stateOf(id)).toBe('past_due')
    expect(worker.faults).toEqual([])
  })

  it('skips the unpaid period, which was given up', async () => {
    const id = await pastDue('skip')
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'uncollectible' }])
    await changeMethod(id, await billing.attach(id, 'pm_card_visa'))
    await lead(worker, dueNow())
    expect(await billing.chargesOf(id)).toEqual([0])
  })
})

describe('a try that comes to nothing', () => {
  it('is repeated after growing waits, and the subscription is past due after the last', async () => {
    const id = await billing.subscribe(worker, missed('collect'))
    const refused = await shop.replica('refused', {
      gateway: (real) => ({ ...real, confirmIntent: async () => refusal }),
    })
    const waits: unknown[] = []
    for (let run = 0; run < 8; run++) {
      await lead(refused, days(300))
      waits.push((await retryOf(id))?.hours)
    }
    expect(waits).toEqual([1, 4, 12, 24, 48, null, null, null])
    expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 0, tries: 6 }])
    expect(await billing.stateOf(id)).toBe('past_due')
  })

  it.each(['authentication_required', 'lost_card'])(
    'is not repeated where it cannot succeed: %s',
    async (declineCode) => {
      const id = await billing.subscribe(worker, missed('collect'))
      const declined = await shop.replica(`declined-${declineCode}`, {
        gateway: (real) => ({
          ...real,
          confirmIntent: async () => ({ kind: 'declined', declineCode, requestId: 'req_1' }) as const,
        }),
      })
      await lead(declined, dueNow())
      expect(await billing.stateOf(id)).toBe('past_due')
      expect(await billing.invoicesOf(id)).toMatchObject([{ state: 'open', declines: 1, tries: 1 }])
      await lead(worker, days(60))
      expect(await billing.invoicesOf(id)).toMatchObject([{ tries: 1 }])
    },
  )

  it('tells the merchant at the first decline, with invoice and subscription', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, dueNow())
    const [invoice] = await billing.invoicesOf(id)
    const told = await shop.sql(
      `SELECT topic, payload FROM outbox WHERE topic = 'invoice.payment_failed' AND payload->>'subscriptionId' = $1`,
      [id],
    )
    expect(told).toEqual([
      {
        topic: 'invoice.payment_failed',
        payload: {
          ...{ id: invoice?.id, state: 'open', subscriptionId: id },
          ...{ paymentId: expect.any(String), declineCode: expect.any(String) },
        },
      },
    ])
  })
})

describe('an open invoice', () => {
  it('is paid on request, once for all copies of the request', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, dueNow())
    const invoice = await openInvoiceOf(id)
    expect(brief(await payInvoice(invoice))).toBe('answered 402')
    await changeMethod(id, await billing.attach(id, 'pm_card_visa'))
    const key = randomUUID()
    const copies = valuesOf(await raceCopies(4, () => payInvoice(invoice, key)))
    expect(copies.map((copy) => brief(copy))).toContain('answered 201')
    expect(brief(await payInvoice(invoice, key))).toBe('answered 201')
    expect(await billing.chargesOf(id)).toEqual([1])
    expect(brief(await payInvoice(invoice))).toBe('refused order-already-paid')
  })

  it('of a past due subscription is paid on request, which makes it active', async () => {
    const id = await billing.subscribe(worker, { ...missed('collect') })
    await lead(
      await shop.replica('lost', {
        gateway: (real) => ({
          ...real,
          confirmIntent: async () => ({ kind: 'declined', declineCode: 'lost_card', requestId: 'req_1' }) as const,
        }),
      }),
      dueNow(),
    )
    expect(await billing.stateOf(id)).toBe('past_due')
    expect(brief(await payInvoice(await openInvoiceOf(id)))).toBe('answered 201')
    expect(await billing.stateOf(id)).toBe('active')
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('is not charged by a run while it is being paid on request, nor the other way round', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, dueNow())
    await changeMethod(id, await billing.attach(id, 'pm_card_visa'))
    const [reached, goOn] = [createLatch('at the gateway'), createLatch('goes on', { boundMs: 20_000 })]
    const slow = await shop.replica('slow-payer', {
      gateway: (real) => ({
        ...real,
        confirmIntent: async (...parameters) => {
          reached.open()
          await goOn.wait()
          return real.confirmIntent(...parameters)
        },
      }),
    })
    const invoice = await openInvoiceOf(id)
    const paying = payInvoice(invoice, randomUUID(), slow)
    await reached.wait()
    await lead(worker, dueNow())
    expect(brief(await payInvoice(invoice))).toBe('refused payment-in-progress')
    goOn.open()
    expect(brief(await paying)).toBe('answered 201')
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('whose outcome is not known is paid once: the same key brings the answer', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, dueNow())
    await changeMethod(id, await billing.attach(id, 'pm_card_visa'))
    const [invoice, key] = [await openInvoiceOf(id), randomUUID()]
    await shop.faults({ on: 'confirm', kind: 'drop-after', rate: 1, times: 1 })
    expect(brief(await payInvoice(invoice, key))).toBe('unsettled')
    await shop.faults()
    await letLeasesRunOut(shop)
    await recoverPayment(worker.deps)
    expect(brief(await payInvoice(invoice, key))).toBe('answered 201')
    expect(await billing.chargesOf(id)).toEqual([1])
  })

  it('of another account is not found, and of a cancelled subscription it is not charged', async () => {
    const id = await billing.subscribe(worker, { card: 'pm_card_chargeCustomerFail' })
    await lead(worker, dueNow())
    const invoice = await openInvoiceOf(id)
    expect(brief(await payInvoice(randomUUID()))).toBe('refused invoice-not-found')
    await operations(worker).cancelSubscription(call(randomUUID(), { cancel: id }), id)
    expect(brief(await payInvoice(invoice))).toBe('refused order-cancelled')
  })
})
