import type { z } from 'zod'
import type { Books } from './books.ts'
import type { FactDraft } from './facts.ts'
import type { RequestOperation } from './faults.ts'
import type { Answer } from './wire/answer.ts'

/** An endpoint that changes something. It decides; `perform-change.ts` does everything around it. */
export interface ChangingEndpoint<P> {
  readonly operation: RequestOperation
  readonly parameters: z.ZodType<P>
  /** What faults are chosen by, or the refusal of a request that concerns nothing. `id` is the one in the path. */
  concerns(parameters: P, books: Books, id: string): Concern
  /** Would this ask the card's bank? */
  asksBank(parameters: P, books: Books, id: string): boolean
  /** Decides in one go, so that no other request comes in between. It reads the books and leaves the writing to others. */
  execute(parameters: P, books: Books, circumstances: Circumstances): Execution
}

export type Concern = ({ readonly ok: true } & Concerned) | { readonly ok: false; readonly refusal: Answer }

export interface Concerned {
  readonly metadata: Readonly<Record<string, string>>
  /** What a wish in `metadata.fault` is granted once for, by operation. Null: this request, and its repetitions by key. */
  readonly subject: string | null
}

export interface Circumstances {
  /** The one in the path. */
  readonly id: string
  readonly at: string
  readonly requestId: string
  readonly idempotencyKey: string | null
  /** The fault `decline` hit this request. */
  readonly bankRefuses: boolean
  /** When a refund changes that will change by itself. */
  readonly refundChangeMs: number
}

export interface Execution {
  readonly facts: readonly FactDraft[]
  readonly answer: Answer
}

/** An endpoint that only looks. */
export interface ReadingEndpoint<P> {
  readonly operation: RequestOperation
  readonly parameters: z.ZodType<P>
  read(parameters: P, books: Books, id: string): Reading
}

export interface Reading {
  readonly answer: Answer
  /** Null where it is about nothing in particular. */
  readonly concerned: Concerned | null
}
