import type { Runtime } from '@seatbelt/domain'
import type { Attempt } from '../attempt.ts'

/**
 * One row of a protocol: after this request, with this seen, write this first, and then send the next request or end.
 *
 * The first word of a request says what is sent; the others say what it follows. "As before" uses the answer before the
 * look.
 */
export type Transition = readonly [
  after: string,
  seen: string | readonly string[],
  writeFirst: string | null,
  then: string,
]

type Listed<Words> = Words extends readonly (infer Word)[] ? Word : Words
export type SeenIn<Table extends readonly Transition[]> = Exclude<Listed<Table[number][1]>, 'any'>
export type WriteIn<Table extends readonly Transition[]> = Exclude<Table[number][2], null>

/** How the words of a table are carried out. */
export interface Protocol<F extends Facts, Answer> {
  readonly requests: Readonly<Record<string, (facts: F) => Promise<Answer>>>
  /** Returns what the attempt knows after the write, or null if another owner took over. */
  readonly writes: Readonly<Record<string, (facts: F) => Promise<Partial<F> | null>>>
  read(answer: Answer, request: string, facts: F): F['reading']
}

/** The knowledge of an attempt. */
export interface Facts {
  readonly attempt: Attempt
  readonly runtime: Pick<Runtime, 'monotonicMs'>
  readonly reading: Reading
  /** The reading before the last one. */
  readonly earlier: Reading
  readonly requestLog: readonly RequestLogEntry[]
}

/** The meaning of an answer for the protocol. */
export interface Reading<Conclusion = unknown> {
  readonly seen: string
  /** The answer in short, for the history. */
  readonly detail: string
  /** Why the gateway rejected the request, in its own words. */
  readonly message: string | null
  /** The end, if the table says that the attempt ends with this answer. */
  readonly conclusion: Conclusion | null
  /** Why nothing is known, if the table says so. Null: the detail is the reason. */
  readonly reason: string | null
  readonly readable: boolean
}

/** A request that was sent, and its answer, for the payment's history. */
export interface RequestLogEntry {
  /** Of the runtime's monotonic clock. */
  readonly atMs: number
  readonly event: string
  readonly gatewayRequestId: string | null
  readonly detail: string | null
  readonly gatewayMessage: string | null
}

/** `readable`: the gateway did answer, so that another look may never bring more. */
export interface UnknownConclusion {
  readonly kind: 'unknown'
  readonly reason: string
  readonly readable: boolean
  /** The gateway has something of this attempt that our books cannot know: a person must look at once. */
  readonly isOrphan: boolean
}

type ConclusionOf<F extends Facts> = NonNullable<F['reading']['conclusion']> | UnknownConclusion

/**
 * Leads one attempt through a protocol and returns its conclusion, with all that the attempt knew at the end.
 *
 * Guarantees: a request is sent only after the write before it is stored, and only while the lease allows one more.
 * A request on the wire ends by its own deadline, not by the lease.
 */
export async function runProtocol<F extends Facts, Answer extends { readonly requestId: string | null }>(
  { requests, writes, read }: Protocol<F, Answer>,
  table: readonly Transition[],
  start: F,
): Promise<{ readonly conclusion: ConclusionOf<F>; readonly facts: F }> {
  let facts = start
  for (let sent = 'nothing'; ; ) {
    const [, , write, then] = findTransition(table, sent, facts.reading.seen)
    if (write !== null) {
      const added = await known(writes[write])(facts)
      if (added === null) return { conclusion: unknown('another owner took over', false), facts }
      facts = { ...facts, ...added }
    }
    const { attempt, runtime, reading, requestLog } = facts
    if (/^(end|unknown|orphan)/.test(then)) return { conclusion: conclude(then, facts), facts }
    if (!attempt.lease.allowsRequest()) return { conclusion: unknown('lease-over', false), facts }

    const [event = then] = then.split(' ')
    const answer = await known(requests[event])(facts)
    const next = read(answer, event, facts)
    const entry = {
      atMs: runtime.monotonicMs(),
      event,
      gatewayRequestId: answer.requestId,
      detail: next.detail,
      gatewayMessage: next.message,
    }
    facts = { ...facts, earlier: reading, reading: next, requestLog: [...requestLog, entry] }
    sent = then
  }
}

function findTransition(table: readonly Transition[], sent: string, seen: string): Transition {
  return known(table.find((row) => (row[0] === sent || row[0] === 'any') && isListed(row[1], seen)))
}

function isListed(listed: Transition[1], seen: string): boolean {
  return typeof listed === 'string' ? listed === 'any' || listed === seen : listed.includes(seen)
}

function conclude<F extends Facts>(then: string, facts: F): ConclusionOf<F> {
  const { conclusion, reason, detail, readable } = then.endsWith('as before') ? facts.earlier : facts.reading
  if (then.startsWith('end')) return known(conclusion) as ConclusionOf<F>
  const [, why] = then.split(': ')
  if (then.startsWith('orphan')) return { ...unknown(known(why), true), isOrphan: true }
  return why === undefined ? unknown(reason ?? detail, readable) : unknown(why, true)
}

function unknown(reason: string, readable: boolean): UnknownConclusion {
  return { kind: 'unknown', reason, readable, isOrphan: false }
}

/** For what the table promises. A request, a write or an end follows only an answer that has what it needs. */
export function known<Value>(value: Value | null | undefined): Value {
  if (value === null || value === undefined) throw new Error('The protocol needs something that is not there')
  return value
}
