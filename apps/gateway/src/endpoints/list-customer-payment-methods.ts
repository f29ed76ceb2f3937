import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { notFound } from '../wire/answer.ts'
import { answerList, listParameters } from '../wire/list.ts'
import { renderPaymentMethod } from '../wire/render-customer.ts'

const { limit, starting_after } = listParameters

const parameters = z.strictObject({ limit, starting_after, type: z.literal('card').optional() })

/** `GET /v1/customers/:id/payment_methods`, newest first. */
export const listCustomerPaymentMethods: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list-payment-methods',
  parameters,
  read(given, books, id) {
    const customer = books.customers.find(id)
    if (!customer) return { answer: notFound('customer', id, 'customer'), concerned: null }
    const url = `/v1/customers/${id}/payment_methods`
    const options = { url, kind: 'PaymentMethod', group: id, render: renderPaymentMethod }
    const answer = answerList(books.paymentMethods, given, options)
    return { answer, concerned: { metadata: customer.metadata, subject: customer.id } }
  },
}
