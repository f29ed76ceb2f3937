import Stripe from 'stripe'
import { describe, expect, it } from 'vitest'
import { openGateway, payment } from './support.ts'

const { errors } = Stripe

async function openWithCustomer(card = 'pm_card_visa') {
  const gateway = await openGateway()
  const customer = await gateway.stripe.customers.create({ email: 'ada@example.com', metadata: { customerId: 'c1' } })
  const method = await gateway.stripe.paymentMethods.attach(card, { customer: customer.id })
  return { ...gateway, customer, method }
}

describe('a customer', () => {
  it('is made and found', async () => {
    const { stripe, customer } = await openWithCustomer()
    expect(customer).toMatchObject({ object: 'customer', email: 'ada@example.com', metadata: { customerId: 'c1' } })
    const { lastResponse: _, ...found } = await stripe.customers.retrieve(customer.id)
    expect(found).toEqual({ ...customer, lastResponse: undefined })
    await expect(stripe.customers.retrieve('cus_none')).rejects.toMatchObject({ statusCode: 404 })
  })

  it('is made once for one key', async () => {
    const { stripe } = await openGateway()
    const make = () => stripe.customers.create({ name: 'Ada' }, { idempotencyKey: 'k1' })
    expect((await make()).id).toBe((await make()).id)
  })

  it('has the methods that were attached, each a new one', async () => {
    const { stripe, customer, method } = await openWithCustomer()
    expect(method).toMatchObject({
      object: 'payment_method',
      type: 'card',
      customer: customer.id,
      card: { brand: 'visa' },
    })
    expect(method.id).toMatch(/^pm_\w{24}$/)
    const second = await stripe.paymentMethods.attach('pm_card_mastercard', { customer: customer.id })
    const { data } = await stripe.customers.listPaymentMethods(customer.id, { type: 'card' })
    expect(data.map(({ id }) => id)).toEqual([second.id, method.id])
    await expect(stripe.customers.listPaymentMethods('cus_none')).rejects.toMatchObject({ statusCode: 404 })
  })
})

describe('attaching', () => {
  it('again to the same customer changes nothing, to another is refused', async () => {
    const { stripe, customer, method } = await openWithCustomer()
    expect((await stripe.paymentMethods.attach(method.id, { customer: customer.id })).id).toBe(method.id)
    const other = await stripe.customers.create()
    await expect(stripe.paymentMethods.attach(method.id, { customer: other.id })).rejects.toThrow(
      'already been attached',
    )
  })

  it('what or to whom does not exist is refused', async () => {
    const { stripe, customer } = await openWithCustomer()
    const none = { code: 'resource_missing' }
    await expect(stripe.paymentMethods.attach('pm_none', { customer: customer.id })).rejects.toMatchObject(none)
    await expect(stripe.paymentMethods.attach('pm_card_visa', { customer: 'cus_none' })).rejects.toMatchObject(none)
  })

  it('asks the bank: a card that declines is declined here, but for the one that is made for later', async () => {
    const { stripe, customer, setFaults } = await openWithCustomer()
    const attach = (card: string) => stripe.paymentMethods.attach(card, { customer: customer.id })
    await expect(attach('pm_card_visa_chargeDeclined')).rejects.toBeInstanceOf(errors.StripeCardError)
    await attach('pm_card_chargeCustomerFail')
    await setFaults({ on: 'attach', kind: 'decline' })
    await expect(attach('pm_card_visa')).rejects.toBeInstanceOf(errors.StripeCardError)
  })
})

describe('charging an attached method off session', () => {
  it('takes the money of its customer', async () => {
    const { stripe, customer, method, entries } = await openWithCustomer()
    const { id } = await stripe.paymentIntents.create({
      ...payment,
      customer: customer.id,
      payment_method: method.id,
      metadata: { invoiceId: 'i1' },
    })
    const confirmed = await stripe.paymentIntents.confirm(id, { off_session: true })
    expect(confirmed).toMatchObject({ status: 'succeeded', customer: customer.id, payment_method: method.id })
    expect(entries().at(-1)).toMatchObject({
      type: 'charge.captured',
      customerId: customer.id,
      paymentMethod: method.id,
      metadata: { invoiceId: 'i1' },
    })
    expect((await stripe.paymentIntents.list({ customer: customer.id })).data.map((intent) => intent.id)).toEqual([id])
    expect((await stripe.charges.list({ customer: customer.id })).data).toMatchObject([{ payment_intent: id }])
  })

  it.each([
    ['pm_card_chargeCustomerFail', 'card_declined', 'generic_decline'],
    ['pm_card_authenticationRequired', 'authentication_required', 'authentication_required'],
  ])('%s declines with %s', async (card, code, declineCode) => {
    const { stripe, customer, method } = await openWithCustomer(card)
    const { id } = await stripe.paymentIntents.create({ ...payment, customer: customer.id, payment_method: method.id })
    await expect(stripe.paymentIntents.confirm(id, { off_session: true })).rejects.toMatchObject({
      statusCode: 402,
      code,
      decline_code: declineCode,
    })
  })

  it('with another customer, or with none, is refused', async () => {
    const { stripe, method } = await openWithCustomer()
    const other = await stripe.customers.create()
    const ask = (customer: object) =>
      stripe.paymentIntents.create({
        ...payment,
        ...customer,
        payment_method: method.id,
        confirm: true,
        off_session: true,
      })
    await expect(ask({ customer: other.id })).rejects.toMatchObject({
      statusCode: 400,
      param: 'payment_method',
      message: expect.stringContaining('must be attached to the customer'),
    })
    await expect(ask({})).rejects.toThrow('Please include the Customer')
    const { id } = await stripe.paymentIntents.create({ amount: 500, currency: 'eur', customer: other.id })
    const confirm = stripe.paymentIntents.confirm(id, { payment_method: method.id })
    await expect(confirm).rejects.toMatchObject({ statusCode: 400, param: 'payment_method' })
  })

  it('off_session without confirm=true is refused', async () => {
    const { stripe } = await openGateway()
    const create = stripe.paymentIntents.create({ ...payment, off_session: true })
    await expect(create).rejects.toMatchObject({ param: 'off_session' })
  })

  it('works after a restart', async () => {
    const before = await openWithCustomer()
    const { customer, method, ledgerPath } = before
    before.close()
    const after = await openGateway({ ledgerPath })
    const known = await after.stripe.customers.listPaymentMethods(customer.id)
    expect(known.data.map(({ id }) => id)).toEqual([method.id])
    expect(await after.stripe.customers.retrieve(customer.id)).toMatchObject({ email: 'ada@example.com' })
    const paid = await after.pay({ customer: customer.id, payment_method: method.id, off_session: true })
    expect(paid.status).toBe('succeeded')
  })
})
