import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { notFound } from '../wire/answer.ts'
import { renderCustomer } from '../wire/render-customer.ts'

const parameters = z.strictObject({})

/** `GET /v1/customers/:id` */
export const retrieveCustomer: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'retrieve-customer',
  parameters,
  read(_given, books, id) {
    const customer = books.customers.find(id)
    if (!customer) return { answer: notFound('customer', id), concerned: null }
    const answer = { status: 200, body: renderCustomer(customer) }
    return { answer, concerned: { metadata: customer.metadata, subject: customer.id } }
  },
}
