import { createServer, type Socket } from 'node:net'
import type { NoAnswer } from '@seatbelt/safety'
import { onTestFinished } from 'vitest'
import { createStripeGateway, type StripeGatewayOptions } from '../src/gateway/stripe-gateway.ts'

export const apiKey = 'sk_test_not_to_be_seen_anywhere'

/** Far longer than any test takes, so that it never ends a request by chance. */
export const amplyMs = 10_000

export function connectTo(url: string, more: Partial<StripeGatewayOptions> = {}) {
  const gateway = createStripeGateway({ url, apiKey, deadlineMs: amplyMs, maxConnections: 4, ...more })
  onTestFinished(() => gateway.close())
  return gateway
}

type Unknown = Extract<NoAnswer, { kind: 'unknown' }>

/** A complete answer that proves nothing. */
export function unknownAnswer(more: Pick<Unknown, 'reason'> & Partial<Unknown>): Unknown {
  return { kind: 'unknown', status: null, replayed: false, requestId: null, ...more }
}

export interface RawServer {
  readonly url: string
  /** Every request that arrived whole, as text. */
  readonly requests: string[]
}

/**
 * A server without HTTP of its own. It collects whole requests and passes each to `answer`, which writes any bytes or
 * resets the connection.
 */
export async function startRawServer(answer: (socket: Socket, requestNumber: number) => void): Promise<RawServer> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let received = ''
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      received += chunk.toString('utf8')
      const request = wholeRequestIn(received)
      if (request === null) return
      received = received.slice(request.length)
      requests.push(request)
      answer(socket, requests.length)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('The server listens on no port')
  return { url: `http://127.0.0.1:${address.port}`, requests }
}

function wholeRequestIn(text: string): string | null {
  const endOfHead = text.indexOf('\r\n\r\n')
  if (endOfHead === -1) return null
  const bodyLength = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
  const length = endOfHead + 4 + bodyLength
  return text.length < length ? null : text.slice(0, length)
}

export function httpAnswer(status: number, body: string, contentType = 'application/json'): string {
  const head = [
    `HTTP/1.1 ${status} Whatever`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Request-Id: req_raw',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

export const intentOnTheWire = {
  id: 'pi_raw',
  object: 'payment_intent',
  created: 1,
  amount: 1999,
  amount_received: 1999,
  currency: 'eur',
  status: 'succeeded',
  latest_charge: 'ch_raw',
  last_payment_error: null,
  metadata: { orderId: 'o1' },
}
