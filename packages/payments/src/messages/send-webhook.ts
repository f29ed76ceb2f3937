import { type LookupAddress, type LookupOptions, lookup as resolveName } from 'node:dns'
import { Webhook } from 'standardwebhooks'
import { Agent, buildConnector } from 'undici'
import type { Message } from './relay-message.ts'
import { SendFailure } from './send-failure.ts'
import { addressProblem, literalAddress, type WebhookTargets, webhookUrlProblem } from './webhook-targets.ts'

export interface WebhookSenderOptions {
  readonly targets: WebhookTargets
  /** From the look-up of the name to the end of the answer. */
  readonly deadlineMs: number
  /** As `dns.lookup`; a test says what a name means. */
  readonly lookup?: typeof resolveName
}

export interface WebhookSender {
  readonly send: (message: Message) => Promise<void>
  close(): Promise<void>
}

/** Of an answer only the status counts. So much of it is read that a polite receiver is not cut off. */
const maxAnswerBytes = 16 * 1024

/**
 * Makes what sends webhooks: one signed POST to the account's endpoint.
 *
 * Guarantees: resolves when the receiver answered 2xx, and otherwise fails with `SendFailure` within the deadline. The body and
 * `webhook-id` are the same with every try; it is signed with each of the endpoint's secrets. No redirect is followed, because
 * the account chose this address and not the next one. Nothing is sent to an address that is not the internet's: a name is
 * judged by what it means when it is connected to, so that it cannot mean another machine a moment later.
 * Source: Standard Webhooks 1.0 (standardwebhooks.com); OWASP, "Server Side Request Forgery Prevention".
 */
export function createWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { targets, deadlineMs } = options
  const agent = new Agent({
    connect: createConnector(options),
    // A connection for each message: what a name means is asked anew, and no broken left-over fails the next one.
    pipelining: 0,
    // One clock, the deadline below. undici's own would start anew with each byte.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  return {
    send: async (message) => {
      const { endpoint } = message
      if (endpoint === null) throw new SendFailure('the account has no webhook endpoint', { isPermanent: true })
      const problem = webhookUrlProblem(endpoint.url, targets)
      if (problem !== null) throw refusedAddress(problem)
      const status = await withDeadline(deadlineMs, (signal) => post(agent, message, endpoint, signal))
      if (status < 200 || status > 299) throw new SendFailure(`HTTP ${status}`, { isPermanent: false })
    },
    close: () => agent.destroy(),
  }
}

async function post(
  agent: Agent,
  { id, topic, payload, createdAt }: Message,
  { url, secrets }: NonNullable<Message['endpoint']>,
  signal: AbortSignal,
): Promise<number> {
  const { origin, pathname, search } = new URL(url)
  const body = JSON.stringify({ type: topic, timestamp: createdAt.toISOString(), data: payload })
  // The time of this try, by which the receiver refuses what was recorded and is played to him later.
  const at = new Date()
  const signatures = secrets.map((secret) => new Webhook(secret).sign(id, at, body))
  const answer = await agent.request({
    ...{ origin, path: pathname + search, method: 'POST', body, signal },
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Seatbelt-Webhooks/1',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signatures.join(' '),
    },
  })
  // Beyond the bound the connection is cut. The receiver has spoken by then, whatever becomes of the rest.
  await answer.body.dump({ limit: maxAnswerBytes, signal }).catch(() => undefined)
  return answer.statusCode
}

/** Rejects at the deadline, whatever the work does then; the signal tells the work to stop. */
function withDeadline<T>(deadlineMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new SendFailure('the receiver took too long', { isPermanent: false }))
      controller.abort()
    }, deadlineMs)
    work(controller.signal)
      .then(resolve, (error) => reject(asFailure(error)))
      .finally(() => clearTimeout(timer))
  })
}

/** undici's own texts name hosts and ports, never headers. Of a name with several addresses each has its own error. */
function asFailure(error: unknown): SendFailure {
  if (error instanceof SendFailure) return error
  const first = error instanceof AggregateError ? error.errors[0] : error
  const words = first instanceof Error ? first.message : 'no answer'
  return new SendFailure(`no answer: ${words}`, { isPermanent: false })
}

function createConnector({
  targets,
  deadlineMs,
  lookup = resolveName,
}: WebhookSenderOptions): buildConnector.connector {
  const connect = buildConnector({ timeout: deadlineMs, lookup: guardedLookup(targets, lookup) })
  return (options, callback) => {
    // An address is not looked up, so that nobody else would see it.
    const address = literalAddress(options.hostname)
    const problem = address === null ? null : addressProblem(address, targets)
    if (problem !== null) return callback(refusedAddress(problem), null)
    connect(options, callback)
  }
}

type LookupDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** As `dns.lookup`, but a name one of whose addresses is forbidden does not exist: which one is taken is not ours to say. */
function guardedLookup(targets: WebhookTargets, lookup: typeof resolveName) {
  return (hostname: string, options: LookupOptions, done: LookupDone): void => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, [])
      const problem = addresses.map(({ address }) => addressProblem(address, targets)).find((one) => one !== null)
      const [first] = addresses
      if (problem) return done(refusedAddress(problem), [])
      if (options.all || !first) return done(null, addresses)
      done(null, first.address, first.family)
    })
  }
}

function refusedAddress(problem: string): SendFailure {
  return new SendFailure(`the endpoint ${problem}`, { isPermanent: true })
}
