import type { Books } from '../books.ts'
import type { Concern } from '../endpoint.ts'
import type { PaymentIntent } from '../payment-intent.ts'
import { noSuchIntent } from '../wire/answer.ts'

/** For `concerns` of what is done to the intent in the path. */
export function concernedIntent(books: Books, id: string): Concern {
  const intent = books.intents.find(id)
  return intent ? { ok: true, metadata: intent.metadata, subject: intent.id } : { ok: false, refusal: noSuchIntent(id) }
}

/** For `execute`, which comes after `concerns` has seen the intent. */
export function existingIntent(books: Books, id: string): PaymentIntent {
  const intent = books.intents.find(id)
  if (!intent) throw new Error('An intent never goes away')
  return intent
}
