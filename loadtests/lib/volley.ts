import { sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import { recordAttempt } from './attempts.ts'
import { type Answer, callOf, isFinal, isReplay, type MoneyRequest, patienceMs, toAttempt } from './client.ts'
import { type Api, environment, replicaFor } from './environment.ts'
import {
  answersUnexpected,
  copiesSettled,
  copiesUnsettled,
  firstPayment,
  paidAt,
  refusal,
  replay,
  settledAfter,
  toldToWait,
} from './metrics.ts'
import type { SeatRequest } from './seats-client.ts'
import { recordSeats } from './seats-history.ts'

/** About money, or about seats: one volley may have both. */
export type AnyRequest = MoneyRequest | SeatRequest

/** How clients behave while they have no final answer. */
export interface Manners {
  /**
   * Repetitions go together as well, unless it is `in-turn`: requests with different keys for one order that come back
   * together only stand in each other's way again, which real clients do not keep up for long.
   */
  readonly repeat: 'together' | 'in-turn'
  /** How long each of them waits for one answer before it gives the request up. */
  readonly patienceMs: number
  /** Between repetitions. They grow from the first to the longest. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** Whether each copy goes to another replica, or all to the same. */
  readonly spread: boolean
}

const goodManners: Manners = { repeat: 'together', patienceMs, firstPauseMs: 250, longestPauseMs: 1_000, spread: true }

/**
 * Sends all requests at the same moment, spread over the replicas, and repeats each one that has no final answer, with
 * the same key and at another replica, until it has one. `offset` is the replica that the first copy goes to.
 *
 * @returns the last answer to each request, in their order.
 */
export function fireVolley(requests: readonly AnyRequest[], offset: number, own: Partial<Manners> = {}): Answer[] {
  const manners = { ...goodManners, ...own }
  const answers: Answer[] = []
  const paidKeys = new Set<string>()
  const startedAt = Date.now()
  const deadline = startedAt + environment.settleWithinMs
  let open = requests.map((request, copy) => ({ request, copy }))
  for (let round = 0; open.length > 0; round += 1) {
    if (round > 0) sleep(pauseMs(manners, round, open.length < requests.length) / 1_000)
    const sent = open.map(({ request, copy }) => ({
      request,
      replica: replicaFor(offset + (manners.spread ? copy : 0), round, request.api),
    }))
    const roundAfterMs = Date.now() - startedAt
    const inTurn = round > 0 && manners.repeat === 'in-turn'
    const given = inTurn ? sent.flatMap((one) => sendAtOnce([one], manners)) : sendAtOnce(sent, manners)
    given.forEach((answer, index) => {
      const sender = open[index]
      if (sender === undefined) return
      answers[sender.copy] = answer
      if (isFinal(answer)) noteSettled(sender.request, answer, roundAfterMs, paidKeys)
    })
    open = open.filter((_, index) => !isFinal(answerAt(given, index)))
    if (Date.now() > deadline) break
  }
  copiesSettled.add(requests.length - open.length)
  if (open.length > 0) copiesUnsettled.add(open.length)
  return answers
}

/**
 * A virtual user's first volley would be spread by its TCP connects. Called at the beginning of every iteration, it
 * does something in the first one only.
 */
export function warmConnections(requestsAtOnce: number, offset: number, api: Api = 'payments'): void {
  if (warm) return
  warm = true
  http.batch(
    Array.from({ length: requestsAtOnce }, (_, copy) => ({
      method: 'GET',
      url: `${replicaFor(offset + copy, 0, api)}/healthz`,
      params: { tags: { name: 'warm up' } },
    })),
  )
}

let warm = false

/**
 * The first repetition comes at once where one client holds a final answer to one of its copies: there is nothing left
 * to wait for. Otherwise the pauses grow, and are spread so that several clients do not come back as one wave.
 */
function pauseMs({ firstPauseMs, longestPauseMs }: Manners, round: number, oneIsAnswered: boolean): number {
  if (round === 1 && oneIsAnswered) return 0
  const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (round - 1))
  return pause * (0.75 + Math.random() * 0.25)
}

function sendAtOnce(sent: readonly { request: AnyRequest; replica: string }[], { patienceMs }: Manners): Answer[] {
  const sentAt = Date.now()
  const answers = http.batch(sent.map(({ request, replica }) => callOf(request, replica, patienceMs))) as Answer[]
  const endedAt = Date.now()
  sent.forEach(({ request }, index) => {
    const answer = answerAt(answers, index)
    record(request, answer, { sentAt, endedAt })
    if (answer.status === 503) countRefusal(answer)
    if (request.operation === 'pay' && answer.status === 201)
      (isReplay(answer) ? replay : firstPayment).add(answer.timings.duration)
  })
  return answers
}

function record(request: AnyRequest, answer: Answer, { sentAt, endedAt }: { sentAt: number; endedAt: number }): void {
  if (request.api === 'booking') recordSeats(request, answer, { sentAt, endedAt })
  else recordAttempt(toAttempt(request, answer, sentAt, endedAt))
}

/** A copy is one more client who waited, and no further payment. */
function noteSettled({ operation, key }: AnyRequest, answer: Answer, afterMs: number, paidKeys: Set<string>): void {
  settledAfter.add(afterMs + answer.timings.duration)
  if (operation !== 'pay' || answer.status !== 201 || paidKeys.has(key)) return
  paidKeys.add(key)
  paidAt.add(exec.instance.currentTestRunDuration)
}

/** Whoever is sent away must be told when to come again. */
function countRefusal(answer: Answer): void {
  refusal.add(answer.timings.duration)
  if (answer.headers['Retry-After'] === undefined) answersUnexpected.add(1, { status: '503' })
  else toldToWait.add(1)
}

function answerAt(answers: readonly Answer[], index: number): Answer {
  const answer = answers[index]
  if (answer === undefined) throw new Error(`k6 gave no answer to request ${index} of ${environment.copies}`)
  return answer
}
