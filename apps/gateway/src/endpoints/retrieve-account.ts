import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'

const parameters = z.strictObject({})

/** `GET /v1/account`: the account that the key opens. */
export function retrieveAccount(accountId: string): ReadingEndpoint<z.infer<typeof parameters>> {
  const body = {
    id: accountId,
    object: 'account',
    charges_enabled: true,
    details_submitted: true,
    payouts_enabled: true,
    type: 'standard',
  }
  return {
    operation: 'retrieve-account',
    parameters,
    read: () => ({ answer: { status: 200, body }, concerned: null }),
  }
}
