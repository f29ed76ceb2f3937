import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestOverHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestOverHttps } from 'node:https'

/** Shorter than the 5 s after which Node's servers close an idle connection, so that no event is sent into its end. */
const idleConnectionMs = 4_000

/**
 * Sends deliveries over connections that it keeps open. It uses `node:http`, because `fetch` spends four times as much
 * CPU on a delivery: that was half of what a payment cost the simulator.
 */
export class EventSender {
  readonly #timeoutMs: number
  readonly #httpAgent = new HttpAgent({ keepAlive: true, timeout: idleConnectionMs })
  readonly #httpsAgent = new HttpsAgent({ keepAlive: true, timeout: idleConnectionMs })
  readonly #onTheirWay = new Set<ClientRequest>()

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Resolves with true if the receiver answered with a 2xx in time. Everything else is false, never an error. */
  post(url: string, payload: string, signature: string): Promise<boolean> {
    const request = this.#open(url, signature)
    this.#onTheirWay.add(request)
    const deadline = setTimeout(() => request.destroy(), this.#timeoutMs)
    return new Promise((resolve) => {
      let response: IncomingMessage | undefined
      request.on('response', (arriving) => {
        response = arriving
        // The connection is free for the next event when this answer was read to its end.
        response.resume()
      })
      // 'close' follows and tells that there is no answer.
      request.on('error', () => {})
      request.on('close', () => {
        clearTimeout(deadline)
        this.#onTheirWay.delete(request)
        resolve(response?.complete === true && isTaken(response))
      })
      request.end(payload)
    })
  }

  #open(url: string, signature: string): ClientRequest {
    const headers = {
      'Content-Type': 'application/json; charset=utf-8',
      'Stripe-Signature': signature,
      'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    }
    return url.startsWith('https:')
      ? requestOverHttps(url, { method: 'POST', headers, agent: this.#httpsAgent })
      : requestOverHttp(url, { method: 'POST', headers, agent: this.#httpAgent })
  }

  /** Cuts off what is on its way. */
  stop(): void {
    for (const request of this.#onTheirWay) request.destroy()
    this.#httpAgent.destroy()
    this.#httpsAgent.destroy()
  }
}

/** A redirect is not followed: the receiver did not take the event. */
function isTaken({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300
}
