import dns, { type LookupAddress, type LookupOptions } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { Webhook } from 'standardwebhooks'
import { Agent, buildConnector } from 'undici'
import type { Message } from './relay-message.ts'
import { SendFailure } from './send-failure.ts'
import { addressProblem, literalAddress, type WebhookTargets, webhookUrlProblem } from './webhook-targets.ts'

export interface WebhookSenderOptions {
  readonly targets: WebhookTargets
  /** From the look-up of the name to the end of the answer. */
  readonly deadlineMs: number
  /** The addresses of a name; DNS by default. A test resolves names by itself. */
  readonly resolve?: (hostname: string) => Promise<readonly LookupAddress[]>
}

export interface WebhookSender {
  readonly send: (message: Message) => Promise<void>
  close(): Promise<void>
}

/** Only the status of an answer counts. This much of it is read, so that usual receivers are not cut off. */
const maxAnswerBytes = 16 * 1024

/**
 * Makes the function that sends webhooks: one signed POST to the account's endpoint.
 *
 * Guarantees: it resolves when the receiver answered 2xx, and otherwise fails with `SendFailure` within the deadline.
 * Every try has the same body and `webhook-id`, and a signature with each of the endpoint's secrets. It follows no
 * redirect, because the account chose this address and not the next. It connects to public addresses only: a name is
 * judged by the address that it resolves to for this connection, so that it cannot mean another machine a moment later.
 * Source: Standard Webhooks 1.0 (standardwebhooks.com); OWASP, "Server Side Request Forgery Prevention".
 */
export function createWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { targets, deadlineMs } = options
  const agent = new Agent({
    connect: createConnector(options),
    // A connection for each message: its name is resolved anew, and no broken connection fails the next message.
    pipelining: 0,
    // One clock, the deadline below. undici's own timers start anew with each byte.
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
  // The time of this try, by which a receiver rejects a recorded message that is replayed later.
  const at = new Date()
  const signatures = secrets.map((secret) => new Webhook(secret).sign(id, at, body))
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'Seatbelt-Webhooks/1',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  }
  const answer = await agent.request({ origin, path: pathname + search, method: 'POST', body, signal, headers })
  // Beyond the bound the connection is cut. The status has arrived by then, and the rest does not matter.
  await answer.body.dump({ limit: maxAnswerBytes, signal }).catch(() => undefined)
  return answer.statusCode
}

/** Rejects at the deadline, even if the work does not stop at its signal. */
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

/** undici's messages name hosts and ports, never headers. A name with several addresses has an error for each. */
function asFailure(error: unknown): SendFailure {
  if (error instanceof SendFailure) return error
  const first = error instanceof AggregateError ? error.errors[0] : error
  const words = first instanceof Error ? first.message : 'no answer'
  return new SendFailure(`no answer: ${words}`, { isPermanent: false })
}

function createConnector({
  targets,
  deadlineMs,
  resolve = resolveName,
}: WebhookSenderOptions): buildConnector.connector {
  const connect = buildConnector({ timeout: deadlineMs, lookup: guardedLookup(targets, resolve) })
  return (options, callback) => {
    // An address is not looked up, so the guarded lookup would not see it.
    const address = literalAddress(options.hostname)
    const problem = address === null ? null : addressProblem(address, targets)
    if (problem !== null) return callback(refusedAddress(problem), null)
    connect(options, callback)
  }
}

type LookupDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/**
 * As `dns.lookup`, but fails if any address of the name is forbidden, because undici chooses among them.
 *
 * The failure is not permanent: an answer of DNS is of the moment, and one wrong answer must not end all messages that
 * are sent meanwhile.
 */
function guardedLookup(targets: WebhookTargets, resolve: NonNullable<WebhookSenderOptions['resolve']>) {
  return (hostname: string, options: LookupOptions, done: LookupDone): void => {
    resolve(hostname).then(
      (addresses) => {
        const problem = addresses.map(({ address }) => addressProblem(address, targets)).find((one) => one !== null)
        const [first] = addresses
        if (problem) return done(new SendFailure(`the endpoint ${problem}`, { isPermanent: false }), [])
        if (options.all || !first) return done(null, [...addresses])
        done(null, first.address, first.family)
      },
      (error) => done(error, []),
    )
  }
}

/** Two tries of each server; together well within the deadline of a message. */
const dnsTimes = { timeout: 2_000, tries: 2 }

/**
 * Asks DNS itself. `dns.lookup` would wait on one of the four threads that the whole process resolves names with: four
 * slow names of merchants would keep the worker from its mail server, its gateway and its database.
 */
async function resolveName(hostname: string): Promise<readonly LookupAddress[]> {
  // RFC 6761: `localhost` is this machine, and no server is asked for it.
  if (hostname === 'localhost') return [asAddress('127.0.0.1', 4), asAddress('::1', 6)]
  const resolver = new Resolver(dnsTimes)
  // Those of the process, as `dns.setServers` may have changed them. A new resolver has those of the system.
  resolver.setServers(dns.getServers())
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
  const found = [
    ...(v4.status === 'fulfilled' ? v4.value.map((address) => asAddress(address, 4)) : []),
    ...(v6.status === 'fulfilled' ? v6.value.map((address) => asAddress(address, 6)) : []),
  ]
  if (found.length === 0 && v4.status === 'rejected') throw v4.reason
  return found
}

function asAddress(address: string, family: 4 | 6): LookupAddress {
  return { address, family }
}

function refusedAddress(problem: string): SendFailure {
  return new SendFailure(`the endpoint ${problem}`, { isPermanent: true })
}
