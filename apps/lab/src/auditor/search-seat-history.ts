/** Something that was done to one seat, as its client knows it: it took effect at one moment between the two times, or not at all. */
export interface SeatOperation {
  readonly kind: 'hold' | 'extend' | 'release' | 'checkout' | 'cancel'
  readonly holdId: string
  readonly customerId: string
  readonly sentAt: number
  /** `Infinity`: there was no answer. */
  readonly endedAt: number
  /** Whether it took effect for certain. */
  readonly isCertain: boolean
  /** Until when the seat is held, as the answer told it. Null: it did not. */
  readonly until: number | null
}

export type SeatFinding =
  | { readonly kind: 'explained' }
  /** No order of the operations explains the answers. `what`: how far the best one comes, for a person. */
  | { readonly kind: 'unexplained'; readonly what: string }
  /** Nobody knows: the search was broken off. */
  | { readonly kind: 'unknown' }

export interface SearchLimits {
  readonly steps: number
  /** How far the clocks of clients and database may be apart. */
  readonly clockErrorMs: number
}

/** An ordinary history of a seat takes as many steps as it has operations; a hundred thousand take a tenth of a second. */
const defaultLimits: SearchLimits = {
  steps: 100_000,
  // One machine has one clock: k6 reads it in whole milliseconds, and the database rounds to them.
  clockErrorMs: 2,
}

/**
 * Is there an order of what was done to a seat in which every answer is right? A linearizability check of one seat against the
 * model free / held by a hold until a time / booked by a hold.
 *
 * An operation takes effect at one moment between its request and its answer. A hold must find the seat free, or find that the
 * hold before it had lapsed; an extension and a checkout must find it held by their own hold, in time; a release must find it
 * held, and a cancellation booked, by their own. Lapsing is a step of nobody: it is possible from the time that was told last.
 * What was not answered may have taken effect or not. Refused requests are no operations: that a seat is taken may be said by a
 * cheap door while somebody only tries to take it.
 *
 * A checkout takes effect when it pins the seat, which is why its payment may last beyond the hold's time. One without an answer
 * may have booked the seat, lengthened the hold or ended it: the seat is then `unclear`, and the next answer tells.
 *
 * Guarantees: `unexplained` only where no order explains the answers, and `explained` only where one does; for the operations of
 * one seat alone. That a hold of several seats takes all or none is not seen here.
 * Does not guarantee an end: the problem is NP-complete, and a history that takes more than the limit is `unknown`.
 * Source: Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects" (1990), whose locality lets each seat
 * be checked by itself; Wing and Gong, "Testing and verifying concurrent objects" (1993), whose search this is; Lowe, "Testing for
 * linearizability" (2017), for remembering where the search has been.
 */
export function searchSeatHistory(
  operations: readonly SeatOperation[],
  limits: Partial<SearchLimits> = {},
): SeatFinding {
  const { steps, clockErrorMs } = { ...defaultLimits, ...limits }
  const search = begin(operations, clockErrorMs)
  for (let taken = 0; taken < steps; taken += 1) {
    const frame = search.path.at(-1)
    if (frame === undefined) return { kind: 'unexplained', what: describe(search) }
    if (frame.isEnd) return { kind: 'explained' }
    const next = frame.candidates[frame.tried]
    frame.tried += 1
    if (next !== undefined) follow(search, frame, next)
    else {
      search.path.pop()
      if (frame.by !== null) search.done.delete(frame.by)
    }
  }
  return { kind: 'unknown' }
}

type SeatState =
  | { readonly kind: 'free' }
  /** `lapsesFrom`: it may have lapsed then. `lapsesBy`: it must have. They differ where the end was not told. */
  | { readonly kind: 'held'; readonly holdId: string; readonly lapsesFrom: number; readonly lapsesBy: number }
  | { readonly kind: 'booked'; readonly holdId: string }
  /** By a checkout whose outcome nobody was told: booked, held or free. */
  | { readonly kind: 'unclear'; readonly holdId: string }

const free: SeatState = { kind: 'free' }

interface Search {
  /** By the time of their request. */
  readonly certain: readonly SeatOperation[]
  readonly uncertain: readonly SeatOperation[]
  readonly done: Set<SeatOperation>
  readonly path: Frame[]
  /** The earliest time at which the search has been somewhere. Who comes later finds nothing new there. */
  readonly been: Map<string, number>
  readonly clockErrorMs: number
  /** Where most answers were explained. */
  best: { readonly explained: number; readonly state: SeatState; readonly stuckAt: SeatOperation | null }
}

interface Frame {
  readonly state: SeatState
  /** The latest effect so far. The earliest possible time is always the best: it leaves the others all that it can. */
  readonly at: number
  /** The operation that led here. */
  readonly by: SeatOperation | null
  /** All certain operations before this one are done, and how many there are done in all. */
  readonly firstOpen: number
  readonly explained: number
  readonly candidates: readonly SeatOperation[]
  readonly isEnd: boolean
  tried: number
}

function begin(operations: readonly SeatOperation[], clockErrorMs: number): Search {
  const inOrder = [...operations].sort((one, other) => one.sentAt - other.sentAt)
  const search: Search = {
    certain: inOrder.filter(({ isCertain }) => isCertain),
    uncertain: inOrder.filter(({ isCertain }) => !isCertain),
    done: new Set(),
    path: [],
    been: new Map(),
    clockErrorMs,
    best: { explained: -1, state: free, stuckAt: null },
  }
  enter(search, { state: free, at: Number.NEGATIVE_INFINITY }, null)
  return search
}

/** Takes the operation next, if that is possible and leads somewhere new. */
function follow(search: Search, from: Frame, operation: SeatOperation): void {
  const after = takeEffect(from.state, operation, Math.max(from.at, operation.sentAt), search.clockErrorMs)
  if (after === null || after.at > operation.endedAt) return
  search.done.add(operation)
  if (!enter(search, after, operation)) search.done.delete(operation)
}

function enter(search: Search, { state, at }: Effect, by: SeatOperation | null): boolean {
  const { certain, path } = search
  const before = path.at(-1)
  const explained = (before?.explained ?? 0) + (by?.isCertain === true ? 1 : 0)
  let firstOpen = before?.firstOpen ?? 0
  while (isDone(search, certain[firstOpen])) firstOpen += 1
  const urgent = mostUrgent(search, firstOpen)
  if (explained > search.best.explained) search.best = { explained, state, stuckAt: urgent }
  // An answer was there before the effect that it tells of could be.
  if (urgent !== null && at > urgent.endedAt) return false
  const where = placeOf(search, state, firstOpen, explained)
  if ((search.been.get(where) ?? Number.POSITIVE_INFINITY) <= at) return false
  search.been.set(where, at)
  const candidates = candidatesOf(search, firstOpen, urgent)
  path.push({ state, at, by, firstOpen, explained, candidates, isEnd: urgent === null, tried: 0 })
  return true
}

/** The open operation that was answered first. Whatever was sent after that need not be looked at. */
function mostUrgent({ certain, done }: Search, firstOpen: number): SeatOperation | null {
  let first: SeatOperation | null = null
  for (let index = firstOpen; index < certain.length; index += 1) {
    const operation = certain[index]
    if (operation === undefined || (first !== null && operation.sentAt > first.endedAt)) break
    if (!done.has(operation) && (first === null || operation.endedAt < first.endedAt)) first = operation
  }
  return first
}

/** What was sent before the most urgent answer came, in the order of the answers; what need not have happened comes last. */
function candidatesOf({ certain, uncertain, done }: Search, firstOpen: number, urgent: SeatOperation | null) {
  if (urgent === null) return []
  const candidates: SeatOperation[] = []
  for (let index = firstOpen; index < certain.length; index += 1) {
    const operation = certain[index]
    if (operation === undefined || operation.sentAt > urgent.endedAt) break
    if (!done.has(operation)) candidates.push(operation)
  }
  candidates.sort((one, other) => one.endedAt - other.endedAt)
  const optional = uncertain.filter((operation) => operation.sentAt <= urgent.endedAt && !done.has(operation))
  return [...candidates, ...optional]
}

/** Names what was done and what came of it. Of the certain operations it is enough to name those beyond the first open one. */
function placeOf(search: Search, state: SeatState, firstOpen: number, explained: number): string {
  const { certain, uncertain } = search
  const beyond: number[] = []
  for (let index = firstOpen; firstOpen + beyond.length < explained; index += 1) {
    if (isDone(search, certain[index])) beyond.push(index)
  }
  const optional = uncertain.flatMap((operation, index) => (isDone(search, operation) ? [index] : []))
  const until = state.kind === 'held' ? ` ${state.lapsesFrom} ${state.lapsesBy}` : ''
  const holder = state.kind === 'free' ? '' : state.holdId
  return `${firstOpen} ${beyond.join()} ${optional.join()} ${state.kind} ${holder}${until}`
}

function isDone({ done }: Search, operation: SeatOperation | undefined): boolean {
  return operation !== undefined && done.has(operation)
}

interface Effect {
  readonly state: SeatState
  readonly at: number
}

/** The model. `at`: the earliest time at which the operation can take effect. Null: it cannot. */
function takeEffect(state: SeatState, operation: SeatOperation, at: number, clockErrorMs: number): Effect | null {
  if (operation.kind === 'hold') return takeSeat(state, operation, at, clockErrorMs)
  if (state.kind === 'free' || state.holdId !== operation.holdId) return null
  const isBooked = state.kind === 'booked'
  switch (operation.kind) {
    case 'release':
      return isBooked ? null : { state: free, at }
    case 'cancel':
      return state.kind === 'held' ? null : { state: free, at }
    case 'extend':
    case 'checkout':
      if (isBooked || (state.kind === 'held' && at >= state.lapsesBy + clockErrorMs)) return null
      return { state: operation.kind === 'extend' ? extended(state, operation) : checkedOut(operation), at }
    default:
      return operation.kind satisfies never
  }
}

function takeSeat(state: SeatState, { holdId, until }: SeatOperation, at: number, clockErrorMs: number): Effect | null {
  if (state.kind === 'booked') return null
  const from = state.kind === 'held' ? state.lapsesFrom - clockErrorMs : at
  const [lapsesFrom, lapsesBy] = [until ?? Number.NEGATIVE_INFINITY, until ?? Number.POSITIVE_INFINITY]
  return { state: { kind: 'held', holdId, lapsesFrom, lapsesBy }, at: Math.max(at, from) }
}

/** One that was not answered held the seat for longer, nobody knows for how long. */
function extended(state: SeatState, { holdId, until }: SeatOperation): SeatState {
  if (until !== null) return { kind: 'held', holdId, lapsesFrom: until, lapsesBy: until }
  return state.kind === 'held' ? { ...state, lapsesBy: Number.POSITIVE_INFINITY } : state
}

function checkedOut({ holdId, isCertain }: SeatOperation): SeatState {
  return isCertain ? { kind: 'booked', holdId } : { kind: 'unclear', holdId }
}

function describe({ best: { state, stuckAt } }: Search): string {
  const asked = stuckAt === null ? 'an answer' : `${stuckAt.kind} of ${stuckAt.holdId} for ${stuckAt.customerId}`
  const times = stuckAt === null ? '' : ` between ${timeOf(stuckAt.sentAt)} and ${timeOf(stuckAt.endedAt)}`
  return `${asked} was acknowledged${times}, when the seat was ${stateInWords(state)}`
}

function stateInWords(state: SeatState): string {
  if (state.kind === 'free') return 'free'
  if (state.kind === 'held') return `held by ${state.holdId} until ${timeOf(state.lapsesFrom)}`
  return state.kind === 'booked' ? `booked by ${state.holdId}` : `being paid for by ${state.holdId}`
}

function timeOf(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : 'an unknown time'
}
