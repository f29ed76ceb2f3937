import { z } from 'zod'
import { customerFrom } from '../customer.ts'
import type { ChangingEndpoint } from '../endpoint.ts'
import { newId } from '../new-id.ts'
import { metadataParameter, textParameter } from '../wire/parameters.ts'
import { renderCustomer } from '../wire/render-customer.ts'

const parameters = z.strictObject({
  description: textParameter.optional(),
  email: textParameter.optional(),
  metadata: metadataParameter.optional(),
  name: textParameter.optional(),
})

/** `POST /v1/customers` */
export const createCustomer: ChangingEndpoint<z.infer<typeof parameters>> = {
  operation: 'create-customer',
  parameters,
  concerns: (given) => ({ ok: true, metadata: given.metadata ?? {}, subject: null }),
  asksBank: () => false,

  execute(given, _books, { at }) {
    const created = {
      type: 'customer.created',
      at,
      customerId: newId('cus'),
      email: given.email ?? null,
      name: given.name ?? null,
      description: given.description ?? null,
      metadata: given.metadata ?? {},
    } as const
    return { facts: [created], answer: { status: 200, body: renderCustomer(customerFrom(created)) } }
  },
}
