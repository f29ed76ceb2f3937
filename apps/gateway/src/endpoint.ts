import type { z } from 'zod'
import type { Books } from './books.ts'
import type { FactDraft } from './facts.ts'
import type { Operation } from './faults.ts'
import type { PaymentIntent } from './payment-intent.ts'
import type { Answer } from './wire/answer.ts'

/** An endpoint that changes something. It decides; `perform-change.ts` does everything around it. */
export interface ChangingEndpoint<P> {
  readonly operation: Operation
  readonly parameters: z.ZodType<P>
  /** The metadata that faults are chosen by, or the refusal of a request that concerns nothing. */
  concerns(parameters: P, intent: PaymentIntent | undefined, intentId: string): Concern
  /** Would this ask the card's bank? */
  charges(parameters: P, intent: PaymentIntent | undefined): boolean
  /** Decides in one go, so that no other request comes in between. Pure but for new ids. */
  execute(parameters: P, intent: PaymentIntent | undefined, circumstances: Circumstances): Execution
}

export type Concern =
  | { readonly ok: true; readonly metadata: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly refusal: Answer }

export interface Circumstances {
  readonly at: string
  readonly requestId: string
  readonly idempotencyKey: string | null
  /** The fault `decline` hit this request. */
  readonly bankRefuses: boolean
}

export interface Execution {
  readonly facts: readonly FactDraft[]
  readonly answer: Answer
}

/** An endpoint that only looks. */
export interface ReadingEndpoint<P> {
  readonly operation: Operation
  readonly parameters: z.ZodType<P>
  read(parameters: P, books: Books, id: string): { readonly answer: Answer; readonly intent: PaymentIntent | null }
}
