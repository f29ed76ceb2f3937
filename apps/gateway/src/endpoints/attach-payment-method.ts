import { z } from 'zod'
import type { Books } from '../books.ts'
import { paymentMethodFrom } from '../customer.ts'
import type { ChangingEndpoint, Execution } from '../endpoint.ts'
import type { CardError } from '../facts.ts'
import { newId } from '../new-id.ts'
import { genericDecline, testPaymentMethods } from '../test-payment-methods.ts'
import { errorAnswer, invalidRequest, noSuch, notFound } from '../wire/answer.ts'
import { idParameter } from '../wire/parameters.ts'
import { renderPaymentMethod } from '../wire/render-customer.ts'
import { renderCardError } from '../wire/render-payment-intent.ts'

const parameters = z.strictObject({ customer: idParameter })

/**
 * `POST /v1/payment_methods/:id/attach`. A test payment method gives a new method of the same card each time, as in
 * Stripe's test mode; one that is attached already stays where it is.
 */
export const attachPaymentMethod: ChangingEndpoint<z.infer<typeof parameters>> = {
  operation: 'attach',
  parameters,
  concerns(given, books, id) {
    const customer = books.customers.find(given.customer)
    if (!customer) return { ok: false, refusal: noSuch('customer', given.customer, 'customer') }
    if (!testPaymentMethods.has(id) && !books.paymentMethods.find(id)) {
      return { ok: false, refusal: notFound('PaymentMethod', id, 'payment_method') }
    }
    return { ok: true, metadata: customer.metadata, subject: null }
  },
  asksBank: (_given, _books, id) => testPaymentMethods.has(id),

  execute(given, books, { id, at, bankRefuses }) {
    const behaviour = testPaymentMethods.get(id)
    if (!behaviour) return attachAgain(id, given.customer, books)
    if (bankRefuses) return decline(genericDecline.error)
    if (behaviour.kind === 'declines' && !behaviour.canBeAttached) return decline(behaviour.error)
    const attached = {
      type: 'payment_method.attached',
      at,
      paymentMethodId: newId('pm'),
      card: id,
      customerId: given.customer,
    } as const
    return { facts: [attached], answer: { status: 200, body: renderPaymentMethod(paymentMethodFrom(attached)) } }
  },
}

function attachAgain(id: string, customerId: string, books: Books): Execution {
  const method = books.paymentMethods.find(id)
  if (method?.customerId === customerId) {
    return { facts: [], answer: { status: 200, body: renderPaymentMethod(method) } }
  }
  return {
    facts: [],
    answer: invalidRequest('The payment method you provided has already been attached to a customer.'),
  }
}

function decline(error: CardError): Execution {
  return { facts: [], answer: errorAnswer(402, renderCardError(error)) }
}
