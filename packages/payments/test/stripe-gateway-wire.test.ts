import { createServer } from 'node:net'
import type { IntentParameters } from '@seatbelt/safety'
import { createLatch, freePort } from '@seatbelt/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  amplyMs,
  apiKey,
  connectTo,
  httpAnswer,
  intentOnTheWire,
  startRawServer,
  unknownAnswer,
} from './stripe-gateway-support.ts'

const parameters: IntentParameters = {
  amountMinor: 1999,
  currency: 'EUR',
  paymentMethod: 'pm_card_visa',
  cardWith: 'confirm',
  metadata: { paymentId: 'p1', orderId: 'o1', accountId: 'a1' },
}

/** Claimed by the version before, which sent the card with the creation. */
const { cardWith: _, ...oldParameters } = parameters

const goodAnswer = httpAnswer(200, JSON.stringify(intentOnTheWire))

describe('what we send', () => {
  async function capture(send: (gateway: ReturnType<typeof connectTo>) => Promise<unknown>) {
    const server = await startRawServer((socket) => socket.write(goodAnswer))
    await send(connectTo(server.url))
    expect(server.requests).toHaveLength(1)
    const [head = '', body = ''] = (server.requests[0] ?? '').split('\r\n\r\n')
    const [requestLine, ...lines] = head.split('\r\n')
    const headers = new Map(
      lines.map((line) => [line.split(': ')[0]?.toLowerCase(), line.slice(line.indexOf(': ') + 2)]),
    )
    return { requestLine, headers, body }
  }

  it('to create: an unconfirmed intent without a card, for cards only', async () => {
    const { requestLine, headers, body } = await capture((gateway) => gateway.createIntent(parameters, 'p1:create:1'))
    expect(requestLine).toBe('POST /v1/payment_intents HTTP/1.1')
    expect(body).toBe(
      'amount=1999&currency=eur&confirm=false&allowed_payment_method_types[0]=card' +
        '&metadata[paymentId]=p1&metadata[orderId]=o1&metadata[accountId]=a1',
    )
    expect(headers.get('authorization')).toBe(`Bearer ${apiKey}`)
    expect(headers.get('idempotency-key')).toBe('p1:create:1')
    expect(headers.get('content-type')).toBe('application/x-www-form-urlencoded')
    // With another version the parameters and the answers would mean something else.
    expect(headers.get('stripe-version')).toBe('2026-10-28.endive')
    expect(headers.get('content-length')).toBe(String(body.length))
  })

  it('to confirm: the card, and an error instead of an authentication that no customer could answer', async () => {
    const { requestLine, headers, body } = await capture((gateway) =>
      gateway.confirmIntent('pi_1', parameters, 'p1:confirm:1'),
    )
    expect(requestLine).toBe('POST /v1/payment_intents/pi_1/confirm HTTP/1.1')
    expect(body).toBe('payment_method=pm_card_visa&error_on_requires_action=true')
    expect(headers.get('idempotency-key')).toBe('p1:confirm:1')
  })

  const kinds = { authorized: { captureMethod: 'manual' }, 'off session': { offSessionCustomer: 'cus_1' } } as const
  const metadata = 'metadata[paymentId]=p1&metadata[orderId]=o1&metadata[accountId]=a1'
  const created = `amount=1999&currency=eur&confirm=false&allowed_payment_method_types[0]=card&${metadata}`
  it.each([
    ['authorized', created, 'payment_method=pm_card_visa&capture_method=manual&error_on_requires_action=true'],
    [
      'off session',
      `${created}&customer=cus_1`,
      'payment_method=pm_card_visa&error_on_requires_action=true&off_session=true',
    ],
  ] as const)(
    'for a payment that is %s: what the order fixes to create, the rest to confirm',
    async (kind, create, confirm) => {
      const asked = { ...parameters, ...kinds[kind] }
      expect((await capture((gateway) => gateway.createIntent(asked, 'k'))).body).toBe(create)
      expect((await capture((gateway) => gateway.confirmIntent('pi_1', asked, 'k'))).body).toBe(confirm)
    },
  )

  const withCard = `amount=1999&currency=eur&confirm=false&payment_method=pm_card_visa&allowed_payment_method_types[0]=card&${metadata}`
  it.each([
    [{}, withCard, 'error_on_requires_action=true'],
    [kinds.authorized, `${withCard}&capture_method=manual`, 'error_on_requires_action=true'],
    [kinds['off session'], `${withCard}&customer=cus_1`, 'error_on_requires_action=true&off_session=true'],
  ] as const)(
    'for a payment of the version before (%o): the same bytes as that version',
    async (more, create, confirm) => {
      const asked = { ...oldParameters, ...more }
      expect((await capture((gateway) => gateway.createIntent(asked, 'k'))).body).toBe(create)
      expect((await capture((gateway) => gateway.confirmIntent('pi_1', asked, 'k'))).body).toBe(confirm)
    },
  )

  it('to cancel: nothing but the key', async () => {
    const { requestLine, headers, body } = await capture((gateway) =>
      gateway.cancelIntent('pi_1', 'p1:cancel:1', 'account'),
    )
    expect(requestLine).toBe('POST /v1/payment_intents/pi_1/cancel HTTP/1.1')
    expect(body).toBe('')
    expect(headers.get('content-length')).toBe('0')
    expect(headers.get('idempotency-key')).toBe('p1:cancel:1')
  })

  it('to look: no key, no body', async () => {
    const { requestLine, headers, body } = await capture((gateway) => gateway.retrieveIntent('pi_1'))
    expect(requestLine).toBe('GET /v1/payment_intents/pi_1 HTTP/1.1')
    expect(body).toBe('')
    expect(headers.has('idempotency-key')).toBe(false)
  })

  it('nothing about this machine', async () => {
    const { headers } = await capture((gateway) => gateway.retrieveIntent('pi_1'))
    expect(headers.has('x-stripe-client-telemetry')).toBe(false)
    const about = JSON.parse(headers.get('x-stripe-client-user-agent') ?? '{}')
    expect(about).not.toHaveProperty('platform')
    expect(about).not.toHaveProperty('telemetry_id')
  })

  it('an intent id as one segment of the path, whatever is in it', async () => {
    const { requestLine } = await capture((gateway) => gateway.retrieveIntent('pi_1/confirm?x='))
    expect(requestLine).toBe('GET /v1/payment_intents/pi_1%2Fconfirm%3Fx%3D HTTP/1.1')
  })
})

describe('a connection that breaks', () => {
  it('after the request: unknown, and not sent again', async () => {
    const server = await startRawServer((socket) => socket.resetAndDestroy())
    const answer = await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')
    expect(answer).toEqual(unknownAnswer({ reason: 'connection' }))
    expect(server.requests).toHaveLength(1)
  })

  it('by closing without a word: unknown, and not sent again', async () => {
    const server = await startRawServer((socket) => socket.destroy())
    expect(await connectTo(server.url).retrieveIntent('pi_1')).toMatchObject({ reason: 'connection' })
    expect(server.requests).toHaveLength(1)
  })

  it('when it is used a second time: unknown, and not sent again', async () => {
    const server = await startRawServer((socket, requestNumber) => {
      if (requestNumber === 1) socket.write(goodAnswer)
      else socket.resetAndDestroy()
    })
    const gateway = connectTo(server.url, { maxConnections: 1 })
    expect(await gateway.confirmIntent('pi_1', parameters, 'k1')).toMatchObject({ kind: 'intent' })
    expect(await gateway.confirmIntent('pi_2', parameters, 'k2')).toMatchObject({
      kind: 'unknown',
      reason: 'connection',
    })
    expect(server.requests).toHaveLength(2)
  })

  it('in the middle of the answer: unreadable, and not sent again', async () => {
    const server = await startRawServer((socket) => socket.end(goodAnswer.slice(0, -20)))
    expect(await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')).toEqual(
      unknownAnswer({ reason: 'unreadable', status: 200, requestId: 'req_raw' }),
    )
    expect(server.requests).toHaveLength(1)
  })

  it('never, because it was refused: the one proof that nothing was sent', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    expect(await connectTo(url).confirmIntent('pi_1', parameters, 'k')).toEqual(unknownAnswer({ reason: 'not-sent' }))
  })
})

describe('the deadline holds for the whole answer', () => {
  const deadlineMs = 250
  /** A busy machine is late, but not by as much as an answer that never ends. */
  const slackMs = 1_500

  async function expectDeadline(ask: Promise<unknown>): Promise<void> {
    const startedAt = performance.now()
    expect(await ask).toEqual(unknownAnswer({ reason: 'deadline' }))
    const elapsedMs = performance.now() - startedAt
    expect(elapsedMs).toBeGreaterThan(deadlineMs - 20)
    expect(elapsedMs).toBeLessThan(deadlineMs + slackMs)
  }

  it('silence', async () => {
    const server = await startRawServer(() => {})
    await expectDeadline(connectTo(server.url, { deadlineMs }).confirmIntent('pi_1', parameters, 'k'))
    expect(server.requests).toHaveLength(1)
  })

  it('half an answer, then silence', async () => {
    const server = await startRawServer((socket) => socket.write(goodAnswer.slice(0, -20)))
    await expectDeadline(connectTo(server.url, { deadlineMs }).confirmIntent('pi_1', parameters, 'k'))
    expect(server.requests).toHaveLength(1)
  })

  it('an answer that trickles, byte after byte, for longer than the deadline', async () => {
    const server = await startRawServer((socket) => {
      let sent = 0
      const trickle = setInterval(() => {
        socket.write(goodAnswer.charAt(sent))
        sent += 1
      }, 20)
      socket.on('close', () => clearInterval(trickle))
    })
    await expectDeadline(connectTo(server.url, { deadlineMs }).confirmIntent('pi_1', parameters, 'k'))
    expect(server.requests).toHaveLength(1)
  })

  it('waiting for a connection; and what gave up waiting is never sent', async () => {
    const arrived = createLatch('the first request has the connection')
    const server = await startRawServer((socket, requestNumber) => {
      if (requestNumber > 1) socket.write(goodAnswer)
      arrived.open()
    })
    const gateway = connectTo(server.url, { deadlineMs, maxConnections: 1 })
    // With this clock, both deadlines come at once, so that the second cannot use the connection of the first.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const asked = [gateway.confirmIntent('pi_1', parameters, 'k1'), gateway.confirmIntent('pi_2', parameters, 'k2')]
    await arrived.wait()
    vi.advanceTimersByTime(deadlineMs)
    const gaveUp = unknownAnswer({ reason: 'deadline' })
    expect(await Promise.all(asked)).toEqual([gaveUp, gaveUp])
    vi.useRealTimers()

    expect(await gateway.retrieveIntent('pi_3')).toMatchObject({ kind: 'intent' })
    expect(server.requests.map((request) => request.split('\r\n')[0])).toEqual([
      'POST /v1/payment_intents/pi_1/confirm HTTP/1.1',
      'GET /v1/payment_intents/pi_3 HTTP/1.1',
    ])
  })
})

describe('unreadable answers', () => {
  it.each([
    ['HTML with 200', httpAnswer(200, '<html></html>', 'text/html'), 200],
    ['HTML with 503', httpAnswer(503, '<html></html>', 'text/html'), 503],
    ['HTML with 404, which proves nothing', httpAnswer(404, '<html></html>', 'text/html'), 404],
    ['nothing at all', httpAnswer(200, ''), 200],
    ['JSON that is no object', httpAnswer(200, '[]'), 200],
    ['null', httpAnswer(200, 'null'), 200],
    ['500 without an error, which `stripe` would take for a success', httpAnswer(500, '{}'), 500],
    ['400 with an error that is text', httpAnswer(400, '{"error":"bad"}'), 400],
    ['200 with an error', httpAnswer(200, '{"error":{"type":"api_error","message":"x"}}'), 200],
    ['a redirect', httpAnswer(302, '{"error":{"type":"api_error","message":"x"}}'), 302],
    ['another object', httpAnswer(200, '{"object":"charge","id":"ch_1"}'), 200],
    ['an intent without an amount', httpAnswer(200, JSON.stringify({ ...intentOnTheWire, amount: null })), 200],
    ['an unknown status', httpAnswer(200, JSON.stringify({ ...intentOnTheWire, status: 'paid' })), 200],
    ['more than a megabyte', httpAnswer(200, JSON.stringify({ ...intentOnTheWire, x: 'x'.repeat(1 << 20) })), 200],
  ])('%s', async (_name, answer, status) => {
    const server = await startRawServer((socket) => socket.write(answer))
    expect(await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')).toEqual(
      unknownAnswer({ reason: 'unreadable', status, requestId: 'req_raw' }),
    )
    expect(server.requests).toHaveLength(1)
  })

  it('an interim answer before the answer is skipped', async () => {
    const hint = 'HTTP/1.1 103 Early Hints\r\nRequest-Id: req_hint\r\n\r\n'
    const server = await startRawServer((socket) => socket.write(hint + goodAnswer))
    expect(await connectTo(server.url).retrieveIntent('pi_1')).toMatchObject({ kind: 'intent', requestId: 'req_raw' })
    const silent = await startRawServer((socket) => socket.end(hint))
    expect(await connectTo(silent.url).retrieveIntent('pi_1')).toEqual(unknownAnswer({ reason: 'connection' }))
  })

  it('bytes that are no HTTP', async () => {
    const server = await startRawServer((socket) => socket.write('GARBAGE\r\n\r\n'))
    expect(await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')).toMatchObject({
      reason: 'unreadable',
      status: null,
    })
    expect(server.requests).toHaveLength(1)
  })
})

function rejectedAnswer(rejected: { readonly status: number; readonly errorCode: string; readonly about?: 'state' }) {
  return { kind: 'rejected', about: 'request', message: 'x', ...rejected }
}

describe('errors by what they prove', () => {
  it.each([
    [
      402,
      { type: 'card_error', code: 'card_declined', decline_code: 'lost_card' },
      { kind: 'declined', declineCode: 'lost_card' },
    ],
    [402, { type: 'card_error', code: 'expired_card' }, { kind: 'declined', declineCode: 'expired_card' }],
    [402, { type: 'invalid_request_error', code: 'x' }, rejectedAnswer({ status: 402, errorCode: 'x' })],
    [400, { type: 'invalid_request_error' }, rejectedAnswer({ status: 400, errorCode: 'invalid_request_error' })],
    [400, { type: 'idempotency_error' }, unknownAnswer({ reason: 'key-reused', status: 400 })],
    [401, { type: 'invalid_request_error' }, unknownAnswer({ reason: 'unauthorized', status: 401 })],
    [403, { type: 'invalid_request_error' }, unknownAnswer({ reason: 'forbidden', status: 403 })],
    [
      404,
      { type: 'invalid_request_error', code: 'resource_missing' },
      rejectedAnswer({ status: 404, errorCode: 'resource_missing', about: 'state' }),
    ],
    [
      409,
      { type: 'idempotency_error', code: 'idempotency_key_in_use' },
      unknownAnswer({ reason: 'key-in-use', status: 409 }),
    ],
    [
      429,
      { type: 'invalid_request_error', code: 'lock_timeout' },
      unknownAnswer({ reason: 'rate-limited', status: 429 }),
    ],
    [500, { type: 'api_error' }, unknownAnswer({ reason: 'server-error', status: 500 })],
    [503, { type: 'card_error', code: 'card_declined' }, unknownAnswer({ reason: 'server-error', status: 503 })],
  ])('%s %o', async (status, error, expected) => {
    const server = await startRawServer((socket) =>
      socket.write(httpAnswer(status, JSON.stringify({ error: { message: 'x', ...error } }))),
    )
    expect(await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')).toEqual({
      ...expected,
      requestId: 'req_raw',
    })
    // `Stripe-Should-Retry` and 5xx tempt `stripe` to try again.
    expect(server.requests).toHaveLength(1)
  })

  it('stripe-should-retry is not obeyed', async () => {
    const body = '{"error":{"type":"api_error","message":"x"}}'
    const server = await startRawServer((socket) =>
      socket.write(httpAnswer(500, body).replace('Request-Id', 'Stripe-Should-Retry: true\r\nRequest-Id')),
    )
    expect(await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')).toMatchObject({ reason: 'server-error' })
    expect(server.requests).toHaveLength(1)
  })
})

describe('a rejected request', () => {
  it.each([
    // Of the payment method and the customer that the client named.
    [{ code: 'resource_missing', param: 'payment_method' }, 'payment-method'],
    [{ param: 'payment_method' }, 'payment-method'],
    [{ code: 'resource_missing', param: 'customer' }, 'payment-method'],
    [{ code: 'payment_method_unactivated' }, 'payment-method'],
    // A parameter that the gateway does not know, or misses, is our mistake, whatever it is called.
    [{ code: 'parameter_unknown', param: 'payment_method' }, 'request'],
    [{ code: 'parameter_missing', param: 'payment_method' }, 'request'],
    [{ code: 'payment_method_types_no_longer_supported', param: 'payment_method_types' }, 'request'],
    [{ code: 'amount_too_small', param: 'amount' }, 'request'],
    [{}, 'request'],
    [{ code: 'payment_intent_unexpected_state' }, 'state'],
    [{ code: 'charge_already_refunded' }, 'state'],
    [{ code: 'charge_expired_for_capture' }, 'state'],
    [{ code: 'charge_not_refundable' }, 'state'],
  ])('%o is about the %s', async (error, about) => {
    const body = JSON.stringify({ error: { type: 'invalid_request_error', message: 'why', ...error } })
    const server = await startRawServer((socket) => socket.write(httpAnswer(400, body)))
    expect(await connectTo(server.url).confirmIntent('pi_1', parameters, 'k')).toMatchObject({
      kind: 'rejected',
      about,
      message: 'why',
    })
  })

  it('keeps so much of the message as can be logged', async () => {
    const body = JSON.stringify({ error: { type: 'invalid_request_error', message: 'x'.repeat(10_000) } })
    const server = await startRawServer((socket) => socket.write(httpAnswer(400, body)))
    expect(await connectTo(server.url).cancelIntent('pi_1', 'k', 'account')).toMatchObject({ message: 'x'.repeat(500) })
  })
})

describe('the last error of an intent', () => {
  it.each([
    [null, null],
    [{ type: 'card_error', code: 'card_declined', decline_code: 'lost_card' }, 'lost_card'],
    [{ type: 'card_error', code: 'expired_card' }, 'expired_card'],
    // Without a code it must still differ from no error, which means that no bank was asked.
    [{ type: 'card_error' }, 'card_declined'],
  ])('%o is read as %s', async (lastError, declineCode) => {
    const shown = { ...intentOnTheWire, status: 'requires_payment_method', last_payment_error: lastError }
    const server = await startRawServer((socket) => socket.write(httpAnswer(200, JSON.stringify(shown))))
    expect(await connectTo(server.url).retrieveIntent('pi_1')).toMatchObject({ intent: { declineCode } })
  })
})

describe('the stack of errors', () => {
  it('is as deep as before, once a request is on its way and after it', async () => {
    const server = await startRawServer((socket) => socket.write(goodAnswer))
    const { stackTraceLimit } = Error
    onTestFinished(() => {
      Error.stackTraceLimit = stackTraceLimit
    })
    Error.stackTraceLimit = 17
    const asked = connectTo(server.url).retrieveIntent('pi_1')
    expect(Error.stackTraceLimit).toBe(17)
    await asked
    expect(Error.stackTraceLimit).toBe(17)
  })
})

describe('bounds', () => {
  it('more requests than may wait are refused at once, unsent', async () => {
    const release = createLatch('the test has seen enough')
    const server = await startRawServer((socket) => void release.wait().then(() => socket.write(goodAnswer)))
    const gateway = connectTo(server.url, { maxConnections: 1 })
    // One on the wire and eight behind it.
    const accepted = Array.from({ length: 9 }, (_, n) => gateway.confirmIntent(`pi_${n}`, parameters, `k${n}`))
    expect(await gateway.confirmIntent('pi_too_many', parameters, 'k')).toMatchObject({
      kind: 'unknown',
      reason: 'not-sent',
    })
    release.open()
    expect((await Promise.all(accepted)).map((answer) => answer.kind)).toEqual(Array(9).fill('intent'))
    expect(server.requests).toHaveLength(9)
    expect(await gateway.confirmIntent('pi_after', parameters, 'k')).toMatchObject({ kind: 'intent' })
  })

  it('no more connections than allowed, and they are used again', async () => {
    let connections = 0
    const server = createServer((socket) => {
      connections += 1
      socket.on('data', () => socket.write(goodAnswer))
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new Error('The server listens on no port')
    const gateway = connectTo(`http://127.0.0.1:${address.port}`, { maxConnections: 2 })
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, n) => gateway.retrieveIntent(`pi_${n}`)))
    }
    expect(connections).toBe(2)
    await gateway.close()
    await new Promise((resolve) => server.close(resolve))
  })

  it('closing cuts what is under way, which is then unknown', async () => {
    const arrived = createLatch('the request arrived')
    const server = await startRawServer(() => arrived.open())
    const gateway = connectTo(server.url, { deadlineMs: amplyMs })
    const asked = gateway.confirmIntent('pi_1', parameters, 'k')
    await arrived.wait()
    await gateway.close()
    expect(await asked).toMatchObject({ kind: 'unknown', reason: 'connection' })
  })
})
