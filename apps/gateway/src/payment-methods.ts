import type { Books } from './books.ts'
import { type CardBehaviour, testPaymentMethods } from './test-payment-methods.ts'
import { type Answer, invalidRequest, noSuch } from './wire/answer.ts'

/** Why this method cannot pay for this customer (null: for nobody in particular). Null: it can. */
export function refusePaymentMethod(books: Books, paymentMethod: string, customerId: string | null): Answer | null {
  if (testPaymentMethods.has(paymentMethod)) return null
  const attached = books.paymentMethods.find(paymentMethod)
  if (!attached) return noSuch('PaymentMethod', paymentMethod, 'payment_method')
  if (attached.customerId === customerId) return null
  return invalidRequest(
    customerId === null
      ? `The \`payment_method\` parameter supplied ${paymentMethod} belongs to the Customer ${attached.customerId}. Please include the Customer in the \`customer\` parameter on the PaymentIntent.`
      : `The customer does not have a payment method with the ID ${paymentMethod}. The payment method must be attached to the customer.`,
    { param: 'payment_method' },
  )
}

/** What the card does, whether it is attached or a test method itself. */
export function behaviourOf(books: Books, paymentMethod: string | null): CardBehaviour {
  const name = paymentMethod ?? ''
  const behaviour = testPaymentMethods.get(books.paymentMethods.find(name)?.card ?? name)
  if (!behaviour) throw new Error(`The unknown payment method ${name} was let through`)
  return behaviour
}

/** The attached method, or the test method itself, which belongs to no customer and is new each time. */
export function paymentMethodOf(books: Books, paymentMethod: string, at: string) {
  const attached = books.paymentMethods.find(paymentMethod)
  return attached ?? { id: paymentMethod, card: paymentMethod, customerId: null, createdAt: at }
}
