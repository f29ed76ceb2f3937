import { sleep } from 'k6'
import http from 'k6/http'
import { recordAttempt } from './attempts.ts'
import { type Answer, isFinal, isReplay, type PaymentRequest, paymentCall, toAttempt } from './client.ts'
import { environment, replicaFor } from './environment.ts'
import { copiesSettled, copiesUnsettled, firstPayment, replay } from './metrics.ts'

const firstPauseMs = 250
const longestPauseMs = 1_000

/**
 * Sends all requests at the same moment, spread over the replicas, and repeats each one that has no final answer, with
 * the same key and at another replica, until it has one. `offset` is the replica that the first copy goes to.
 *
 * Repetitions go together as well, unless `repeat` says `in-turn`. Requests with different keys for one order that come
 * back together only stand in each other's way again, which real clients do not keep up for long.
 *
 * @returns the last answer to each request, in their order.
 */
export function fireVolley(
  requests: readonly PaymentRequest[],
  offset: number,
  repeat: 'together' | 'in-turn' = 'together',
): Answer[] {
  const answers: Answer[] = []
  const deadline = Date.now() + environment.settleWithinMs
  let open = requests.map((request, copy) => ({ request, copy }))
  for (let round = 0; open.length > 0; round += 1) {
    if (round > 0) sleep(pauseMs(round, open.length < requests.length) / 1_000)
    const sent = open.map(({ request, copy }) => ({ request, replica: replicaFor(offset + copy, round) }))
    const given = round > 0 && repeat === 'in-turn' ? sent.flatMap((one) => sendAtOnce([one])) : sendAtOnce(sent)
    given.forEach((answer, index) => {
      const copy = open[index]?.copy
      if (copy !== undefined) answers[copy] = answer
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
export function warmConnections(requestsAtOnce: number, offset: number): void {
  if (warm) return
  warm = true
  http.batch(
    Array.from({ length: requestsAtOnce }, (_, copy) => ({
      method: 'GET',
      url: `${replicaFor(offset + copy, 0)}/healthz`,
      params: { tags: { name: 'warm up' } },
    })),
  )
}

let warm = false

/**
 * The first repetition comes at once where one client holds a final answer to one of its copies: there is nothing left
 * to wait for. Otherwise the pauses grow, and are spread so that several clients do not come back as one wave.
 */
function pauseMs(round: number, oneIsAnswered: boolean): number {
  if (round === 1 && oneIsAnswered) return 0
  const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (round - 1))
  return pause * (0.75 + Math.random() * 0.25)
}

function sendAtOnce(sent: readonly { request: PaymentRequest; replica: string }[]): Answer[] {
  const sentAt = Date.now()
  const answers = http.batch(sent.map(({ request, replica }) => paymentCall(request, replica))) as Answer[]
  const endedAt = Date.now()
  sent.forEach(({ request }, index) => {
    const answer = answerAt(answers, index)
    recordAttempt(toAttempt(request, answer, sentAt, endedAt))
    if (answer.status === 201) (isReplay(answer) ? replay : firstPayment).add(answer.timings.duration)
  })
  return answers
}

function answerAt(answers: readonly Answer[], index: number): Answer {
  const answer = answers[index]
  if (answer === undefined) throw new Error(`k6 gave no answer to request ${index} of ${environment.copies}`)
  return answer
}
