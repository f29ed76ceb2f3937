import type { Books } from '../books.ts'
import { type GatewayEvent, metadataOf } from '../event.ts'
import type { WebhookOutcome } from '../facts.ts'
import { type Fault, type Faults, isWebhookFault } from '../faults.ts'
import { renderEvent } from '../wire/render-event.ts'
import { EventSender } from './event-sender.ts'
import { createPauses, type Pause } from './pauses.ts'
import { sign } from './sign.ts'
import { createSlots } from './slots.ts'

export interface WebhookTimes {
  /** How long a receiver may take. */
  readonly timeoutMs: number
  /** The pause after the first failure. It doubles with each further one, up to `maxPauseMs`. */
  readonly firstPauseMs: number
  readonly maxPauseMs: number
  readonly maxAttempts: number
}

/**
 * A receiver does one transaction: five seconds are a receiver that hangs. Twelve attempts with these pauses take three
 * minutes (Stripe: three days), which outlives every outage that a run makes, and lets a run end.
 */
export const defaultWebhookTimes: WebhookTimes = {
  timeoutMs: 5_000,
  firstPauseMs: 500,
  maxPauseMs: 30_000,
  maxAttempts: 12,
}

/**
 * Requests that are on their way at the same moment. Enough that a copy that hangs does not hold up the others, few
 * enough that a receiver with a pool of ten is not drowned by its webhooks alone.
 */
const maxConcurrent = 10

/**
 * Events that are being delivered or wait for their next attempt. The others wait in the books, which hold them in any
 * case; so this bounds the timers, and nothing is lost by it.
 */
const maxInHand = 1_000

/** Twelve times Stripe's tolerance of five minutes. */
const oldTimestampMs = 3_600_000

export interface Webhooks {
  /** To be called whenever there may be a new event, or another endpoint. Cheap. */
  wake(): void
  /** Cuts off what is on its way. It stays owed, and is sent after the next start. */
  stop(): void
}

interface WebhookDeps {
  readonly books: Books
  readonly faults: Faults
  /** An event is as long on its way as a request: now it is faster than the answer to what caused it, now slower. */
  readonly drawLatencyMs: () => number
  readonly now: () => Date
  readonly timestamp: () => string
  readonly onError: (error: unknown) => void
}

/**
 * Delivers what the books owe to the endpoint, at least once each, in no particular order, as Stripe does. What was
 * delivered is written into the ledger; after a kill the walk through the books begins anew and skips that.
 */
export function deliverWebhooks(deps: WebhookDeps, given: Partial<WebhookTimes>): Webhooks {
  const { books, faults, now } = deps
  const times = { ...defaultWebhookTimes, ...given }
  const slots = createSlots(maxConcurrent)
  const pauses = createPauses()
  const sender = new EventSender(times.timeoutMs)
  /** By intent: the one event of it that waits for a later one to overtake it. */
  const waitingToBeOvertaken = new Map<string, { seq: number; pause: Pause }>()
  let isStopped = false
  let nextPosition = 0
  let inHand = 0

  function wake(): void {
    for (; inHand < maxInHand && !isStopped; nextPosition += 1) {
      const event = books.events.at(nextPosition)
      if (!event) return
      if (books.isOwed(event.id)) void take(event)
    }
  }

  async function take(event: GatewayEvent): Promise<void> {
    inHand += 1
    try {
      const fault = faults.choose({
        operation: 'webhook',
        event: event.type,
        metadata: metadataOf(event),
        subject: event.id,
        canShow: isWebhookFault,
      })
      await deliver(event, fault)
    } catch (error) {
      deps.onError(error)
    } finally {
      inHand -= 1
      wake()
    }
  }

  async function deliver(event: GatewayEvent, fault: Fault | null): Promise<void> {
    if (fault?.kind === 'never') return settle(event, 'withheld', 0)
    const latencyMs = deps.drawLatencyMs() + (fault?.kind === 'delay' ? fault.delayMs : 0)
    if (latencyMs > 0) await pauses.start(latencyMs).over
    if (fault?.kind === 'out-of-order') await beOvertaken(event, fault.delayMs)
    for (let attempt = 1; attempt <= times.maxAttempts; attempt += 1) {
      // Somebody may have turned webhooks off meanwhile.
      if (!books.isOwed(event.id)) return
      if (await attemptDelivery(event, attempt, attempt === 1 ? fault : null)) {
        letOvertaken(event)
        return settle(event, 'delivered', attempt)
      }
      if (attempt < times.maxAttempts) {
        await pauses.start(Math.min(times.firstPauseMs * 2 ** (attempt - 1), times.maxPauseMs)).over
      }
    }
    settle(event, 'abandoned', times.maxAttempts)
  }

  async function attemptDelivery(event: GatewayEvent, attempt: number, fault: Fault | null): Promise<boolean> {
    const copies = fault?.kind === 'five-at-once' ? 5 : 1
    const taken = await Promise.all(Array.from({ length: copies }, (_, copy) => send(event, attempt - 1 + copy, fault)))
    if (taken.includes(false)) return false
    return fault?.kind === 'twice' ? await send(event, attempt, fault) : true
  }

  /** Signed anew each time, as Stripe does: the time in the signature is the attempt's, not the event's. */
  function send(event: GatewayEvent, turn: number, fault: Fault | null): Promise<boolean> {
    return slots.use(async () => {
      const { urls, secrets } = books.webhookEndpoint()
      // Each event begins at another one, so that no replica hears all of them.
      const url = urls[(event.seq + turn) % urls.length]
      if (url === undefined) return false
      const payload = JSON.stringify(renderEvent(event, 1))
      const at = fault?.kind === 'old-timestamp' ? new Date(now().getTime() - oldTimestampMs) : now()
      const keys = fault?.kind === 'wrong-signature' ? secrets.map((secret) => `not ${secret}`) : secrets
      return !isStopped && (await sender.post(url, payload, sign(payload, keys, at)))
    })
  }

  /**
   * Waits until a later event of the intent was delivered, or for `atMostMs`. One at a time, or all would wait in line.
   */
  async function beOvertaken({ intent, seq }: GatewayEvent, atMostMs: number): Promise<void> {
    if (waitingToBeOvertaken.has(intent.id)) return
    const pause = pauses.start(atMostMs)
    waitingToBeOvertaken.set(intent.id, { seq, pause })
    await pause.over
    waitingToBeOvertaken.delete(intent.id)
  }

  function letOvertaken(by: GatewayEvent): void {
    const waiting = waitingToBeOvertaken.get(by.intent.id)
    // Two events of one entry have no order of their own.
    if (waiting && waiting.seq <= by.seq) waiting.pause.end()
  }

  function settle(event: GatewayEvent, outcome: WebhookOutcome, attempts: number): void {
    if (isStopped) return
    books.commit([{ type: 'webhook.settled', at: deps.timestamp(), eventId: event.id, outcome, attempts }])
  }

  return {
    wake,
    stop() {
      isStopped = true
      pauses.stop()
      sender.stop()
    },
  }
}
