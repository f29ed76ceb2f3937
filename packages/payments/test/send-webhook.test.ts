import { createSocket } from 'node:dgram'
import dns from 'node:dns'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it } from 'vitest'
import { createWebhookSender, type Message, type WebhookTargets, webhookUrlProblem } from '../src/index.ts'

const secret = `whsec_${Buffer.alloc(32, 'a').toString('base64')}`
const previous = `whsec_${Buffer.alloc(32, 'b').toString('base64')}`
const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface Received {
  readonly headers: Record<string, string>
  readonly body: string
}

/** A receiver that answers as the test says, and records the requests. */
async function receiver(answer: (response: ServerResponse, request: IncomingMessage) => void) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers as Record<string, string>, body })
    answer(response, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { received, port, url: `http://127.0.0.1:${port}/hooks?shop=1` }
}

type Options = Partial<Parameters<typeof createWebhookSender>[0]>

function sender({ targets = 'loopback', deadlineMs = 5_000, ...rest }: Options = {}) {
  const made = createWebhookSender({ targets, deadlineMs, ...rest })
  closers.push(made.close)
  return made.send
}

function message(url: string | null, secrets: readonly string[] = [secret]): Message {
  return {
    ...{ id: '0192f000-0000-7000-8000-00000000000a', topic: 'payment.succeeded', recipient: null },
    payload: { id: 'p', amountMinor: 1_999 },
    createdAt: new Date('2026-11-20T10:00:00.000Z'),
    endpoint: url === null ? null : { url, secrets },
  }
}

const failure = (isPermanent: boolean, text: string | RegExp) => ({
  code: 'send-failure',
  isPermanent,
  message: expect.stringMatching(text),
})

describe('a webhook', () => {
  it('is verified by the library of Standard Webhooks, with the new secret and with the previous one', async () => {
    const { received, url } = await receiver((response) => response.writeHead(204).end())
    await sender()(message(url, [secret, previous]))
    const [{ headers, body } = { headers: {}, body: '' }] = received
    expect(headers['webhook-id']).toBe('0192f000-0000-7000-8000-00000000000a')
    const reported = {
      ...{ type: 'payment.succeeded', timestamp: '2026-11-20T10:00:00.000Z' },
      data: { id: 'p', amountMinor: 1_999 },
    }
    expect(new Webhook(secret).verify(body, headers)).toEqual(reported)
    expect(new Webhook(previous).verify(body, headers)).toEqual(reported)
    const wrong = new Webhook(Buffer.alloc(32, 'c').toString('base64'))
    expect(() => wrong.verify(body, headers)).toThrow('No matching signature')
    expect(() => new Webhook(secret).verify(body.replace('1999', '9999'), headers)).toThrow('No matching signature')
  })

  it.each([200, 201, 204, 299])('is delivered by a %i', async (status) => {
    const { url } = await receiver((response) => response.writeHead(status).end())
    await sender()(message(url))
  })

  it.each([302, 400, 404, 410, 429, 500])('is not delivered by a %i, and may be tried again', async (status) => {
    const { url } = await receiver((response) => response.writeHead(status).end('no'))
    await expect(sender()(message(url))).rejects.toMatchObject(failure(false, `^HTTP ${status}$`))
  })

  it('follows no redirect', async () => {
    const elsewhere = await receiver((response) => response.writeHead(200).end())
    const { url } = await receiver((response) => response.writeHead(307, { location: elsewhere.url }).end())
    await expect(sender()(message(url))).rejects.toMatchObject(failure(false, '^HTTP 307$'))
    expect(elsewhere.received).toEqual([])
  })

  it('of an account without an endpoint is given up at once', async () => {
    await expect(sender()(message(null))).rejects.toMatchObject(failure(true, 'no webhook endpoint'))
  })

  it.each([
    ['says nothing', () => undefined],
    [
      'lets its answer trickle',
      (response: ServerResponse) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('.'), 20)
        response.once('close', () => clearInterval(timer))
      },
    ],
  ] as const)('ends with its deadline where the receiver %s', async (_, answer) => {
    const { received, url } = await receiver(answer)
    const startedAtMs = performance.now()
    await expect(sender({ deadlineMs: 400 })(message(url))).rejects.toMatchObject(failure(false, 'took too long'))
    expect(performance.now() - startedAtMs).toBeLessThan(4_000)
    expect(received).toHaveLength(1)
  })

  it('is delivered although the answer never ends: the connection is cut at the bound', async () => {
    const { url } = await receiver((response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
      }
      response.writeHead(200).on('drain', more)
      more()
    })
    await sender()(message(url))
  })

  it('reports a receiver that is not there without the path of its URL', async () => {
    const { url, port } = await receiver((response) => response.end())
    await closers.pop()?.()
    const reported = await sender()(message(url)).catch((error: Error) => error.message)
    expect(reported).toContain(`127.0.0.1:${port}`)
    expect(reported).not.toContain('shop=1')
  })
})

describe('where a webhook may go', () => {
  it.each<[string, WebhookTargets, boolean]>([
    ['https://shop.example.com/hooks', 'public', true],
    ['https://93.184.216.34/hooks', 'public', true],
    ['https://[2606:4700::1111]/', 'public', true],
    ['http://shop.example.com/hooks', 'public', false],
    ['ftp://shop.example.com/', 'public', false],
    ['https://user:password@shop.example.com/', 'public', false],
    ['not a url', 'public', false],
    ['https://localhost/', 'public', false],
    ['https://127.0.0.1/', 'public', false],
    ['https://127.1/', 'public', false],
    ['https://2130706433/', 'public', false],
    ['https://0x7f.0.0.1/', 'public', false],
    ['https://0.0.0.0/', 'public', false],
    ['https://10.1.2.3/', 'public', false],
    ['https://172.16.0.1/', 'public', false],
    ['https://192.168.1.1/', 'public', false],
    ['https://169.254.169.254/latest/meta-data', 'public', false],
    ['https://100.64.0.1/', 'public', false],
    ['https://[::1]/', 'public', false],
    ['https://[::ffff:10.0.0.1]/', 'public', false],
    ['https://[fe80::1]/', 'public', false],
    ['https://[fd00::1]/', 'public', false],
    ['https://[64:ff9b::7f00:1]/', 'public', false],
    ['http://127.0.0.1:4000/', 'loopback', true],
    ['http://localhost:4000/', 'loopback', true],
    ['http://[::1]:4000/', 'loopback', true],
    ['http://10.1.2.3/', 'loopback', false],
    ['https://10.1.2.3/', 'loopback', false],
    ['http://shop.example.com/', 'loopback', false],
  ])('%s where %s: %s', (url, targets, may) => {
    expect(webhookUrlProblem(url, targets) === null).toBe(may)
  })

  it('is found by DNS itself, and not on the threads that resolve all other names of the process', async () => {
    const server = createSocket('udp4')
    const asked: string[] = []
    server.on('message', (query, { address, port }) => {
      asked.push(query.subarray(13, 13 + (query[12] ?? 0)).toString())
      // The question with its header made an answer: there is no such name.
      const answer = Buffer.from(query)
      answer.writeUInt16BE(0x8183, 2)
      server.send(answer, port, address)
    })
    server.bind(0, '127.0.0.1')
    await once(server, 'listening')
    const servers = dns.getServers()
    dns.setServers([`127.0.0.1:${server.address().port}`])
    closers.push(async () => {
      dns.setServers(servers)
      server.close()
    })
    await expect(sender()(message('https://merchant.example.com/hooks'))).rejects.toMatchObject(
      failure(false, 'ENOTFOUND'),
    )
    expect(asked).toContain('merchant')
  })

  it('may be this machine by its name, where that is allowed', async () => {
    const { received, port } = await receiver((response) => response.end())
    await sender()(message(`http://localhost:${port}/hooks`))
    expect(received).toHaveLength(1)
  })

  it('is checked again when it is sent: an address of development is refused in production', async () => {
    const { received, url } = await receiver((response) => response.end())
    await expect(sender({ targets: 'public' })(message(url))).rejects.toMatchObject(failure(true, '^the endpoint must'))
    expect(received).toEqual([])
  })

  it.each([
    ['alone', ['127.0.0.1']],
    ['beside a public one', ['93.184.216.34', '127.0.0.1']],
    ['as IPv6', ['::ffff:127.0.0.1']],
  ])('is not behind a name that means a private address %s at the moment of the connection', async (_, addresses) => {
    const { received, port } = await receiver((response) => response.end())
    const asked: string[] = []
    const resolve = async (hostname: string) => {
      asked.push(hostname)
      return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    }
    const url = `https://rebound.example.com:${port}/`
    // DNS may be wrong for a moment: the message is tried again.
    await expect(sender({ targets: 'public', resolve })(message(url))).rejects.toMatchObject(
      failure(false, '^the endpoint must'),
    )
    expect(asked).toEqual(['rebound.example.com'])
    expect(received).toEqual([])
  })
})
