import { z } from 'zod'
import type { ReadingEndpoint } from '../endpoint.ts'
import { invalidRequest } from '../wire/answer.ts'
import { expandInListParameter, secondsParameter } from '../wire/parameters.ts'
import { renderPaymentIntent } from '../wire/render-payment-intent.ts'

const parameters = z.strictObject({
  created: z
    .strictObject({
      gt: secondsParameter.optional(),
      gte: secondsParameter.optional(),
      lt: secondsParameter.optional(),
      lte: secondsParameter.optional(),
    })
    .optional(),
  expand: expandInListParameter.optional(),
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, { error: 'Limit must be between 1 and 100.' })
    .transform(Number)
    .optional(),
  starting_after: z.string().optional(),
})

/** `GET /v1/payment_intents`, newest first. */
export const listPaymentIntents: ReadingEndpoint<z.infer<typeof parameters>> = {
  operation: 'list',
  parameters,
  read(given, books) {
    const startingAfter = given.starting_after ?? null
    if (startingAfter !== null && !books.findIntent(startingAfter)) {
      const message = `No such payment_intent: '${startingAfter}'`
      return { answer: invalidRequest(message, { code: 'resource_missing', param: 'starting_after' }), intent: null }
    }
    const page = books.listIntents({ limit: given.limit ?? 10, startingAfter, ...createdBetween(given.created ?? {}) })
    const expand = given.expand ? ['latest_charge'] : []
    const data = page.intents.map((intent) => renderPaymentIntent(intent, expand))
    const body = { object: 'list', url: '/v1/payment_intents', has_more: page.hasMore, data }
    return { answer: { status: 200, body }, intent: null }
  },
}

type CreatedFilter = { [bound in 'gt' | 'gte' | 'lt' | 'lte']?: number | undefined }

/** On the wire an intent's time is cut to seconds, and the filter means what is on the wire. */
function createdBetween({ gt, gte, lt, lte }: CreatedFilter): { createdFromMs: number; createdToMs: number } {
  return {
    createdFromMs: Math.max(gte === undefined ? 0 : gte * 1000, gt === undefined ? 0 : (gt + 1) * 1000),
    createdToMs: Math.min(
      lt === undefined ? Number.POSITIVE_INFINITY : lt * 1000,
      lte === undefined ? Number.POSITIVE_INFINITY : (lte + 1) * 1000,
    ),
  }
}
