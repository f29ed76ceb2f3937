import type { RecordedAnswer, Refusal } from '@seatbelt/domain'

/** The result of a guarded operation. `unsettled`: its claim is committed, and recovery finds out the outcome. */
export type Guarded<Subject> = Answered | { readonly kind: 'unsettled'; readonly subject: Subject } | Refused

export interface Answered {
  readonly kind: 'answered'
  readonly answer: RecordedAnswer
  readonly replayed: boolean
}

/** Nothing was changed. */
export interface Refused {
  readonly kind: 'refused'
  readonly refusal: Refusal
}

/** The key turned out to be bound by another request, and the transaction was rolled back. */
export interface KeyTaken {
  readonly kind: 'key-taken'
}

/** Another operation holds the lock, or was faster. */
export interface Contended {
  readonly kind: 'contended'
}
