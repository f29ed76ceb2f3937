import { describe, expect, it } from 'vitest'
import { createShelf, type Page } from '../src/shelf.ts'
import { openGateway } from './support.ts'

describe('charges', () => {
  it('are listed newest first, those that failed included, with the metadata of their intent', async () => {
    const { stripe, pay } = await openGateway()
    const { id } = await stripe.paymentIntents.create({
      amount: 500,
      currency: 'eur',
      payment_method: 'pm_card_visa_chargeDeclined',
      metadata: { orderId: 'o1' },
    })
    await stripe.paymentIntents.confirm(id).catch(() => {})
    await pay({ metadata: { orderId: 'o2' } })
    await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' })

    const { data } = await stripe.charges.list()
    expect(data).toMatchObject([
      { object: 'charge', payment_intent: id, status: 'succeeded', captured: true, metadata: { orderId: 'o1' } },
      { amount: 1999, metadata: { orderId: 'o2' } },
      { payment_intent: id, status: 'failed', paid: false, captured: false, failure_code: 'card_declined' },
    ])
    const ofIntent = await stripe.charges.list({ payment_intent: id })
    expect(ofIntent.data.map((charge) => charge.status)).toEqual(['succeeded', 'failed'])
    await expect(stripe.charges.list({ payment_intent: 'pi_none' })).rejects.toMatchObject({ code: 'resource_missing' })
  })

  it('and intents page through a range of time, also while new ones come', async () => {
    let now = Date.parse('2026-11-20T08:00:00.000Z')
    const { stripe, pay } = await openGateway({ now: () => new Date(now) })
    const paid: { id: string; charge: string }[] = []
    for (let n = 0; n < 9; n += 1) {
      const intent = await pay()
      paid.unshift({ id: intent.id, charge: String(intent.latest_charge) })
      now += 1_000
    }
    const first = Date.parse('2026-11-20T08:00:02.000Z') / 1000
    const created = { gte: first, lt: first + 5 }
    const wanted = paid.slice(2, 7)

    const intents: string[] = []
    for await (const intent of stripe.paymentIntents.list({ created, limit: 2 })) {
      intents.push(intent.id)
      await pay()
    }
    expect(intents).toEqual(wanted.map(({ id }) => id))
    const charges: string[] = []
    for await (const charge of stripe.charges.list({ created, limit: 2 })) charges.push(charge.id)
    expect(charges).toEqual(wanted.map(({ charge }) => charge))
    expect((await stripe.charges.list({ created: first })).data.map(({ id }) => id)).toEqual([wanted.at(-1)?.charge])
  })

  it('stay in order when the clock is set back', async () => {
    let now = Date.parse('2026-11-20T08:00:10.000Z')
    const { stripe, pay } = await openGateway({ now: () => new Date(now) })
    const first = await pay()
    now -= 9_000
    const second = await pay()
    expect(second.created).toBe(first.created)
    const { data } = await stripe.paymentIntents.list({ created: { gte: first.created } })
    expect(data.map(({ id }) => id)).toEqual([second.id, first.id])
  })
})

describe('a shelf', () => {
  const startMs = Date.parse('2026-11-20T08:00:00.000Z')
  const everything: Page = {
    limit: 10,
    startingAfter: null,
    createdFromMs: 0,
    createdToMs: Number.POSITIVE_INFINITY,
    group: null,
  }

  it('looks at what is on the page, however long it is', () => {
    let looks = 0
    const shelf = createShelf<{ id: string; createdAt: string }>(({ id }) => [id.endsWith('7') ? 'sevens' : 'others'])
    for (let n = 0; n < 100_000; n += 1) {
      const at = new Date(startMs + n * 1_000).toISOString()
      shelf.put({
        id: `x${n}`,
        get createdAt() {
          looks += 1
          return at
        },
      })
    }
    const createdToMs = startMs + 50_000_000
    expect(shelf.page({ ...everything, createdToMs, limit: 2 })).toMatchObject({
      things: [{ id: 'x49999' }, { id: 'x49998' }],
      hasMore: true,
    })
    const page = { ...everything, group: 'sevens', startingAfter: 'x50007', createdToMs, limit: 2 }
    expect(shelf.page(page)).toMatchObject({ things: [{ id: 'x49997' }, { id: 'x49987' }], hasMore: true })
    expect(looks).toBeLessThan(200)
    expect(shelf.page({ ...everything, group: 'unheard-of' })).toEqual({ things: [], hasMore: false })
  })
})
