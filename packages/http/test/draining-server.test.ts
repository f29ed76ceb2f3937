import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { createLatch, eventually } from '@seatbelt/testing'
import express from 'express'
import { afterEach, expect, it } from 'vitest'
import { type DrainingServer, startDrainingServer } from '../src/index.ts'

const servers: DrainingServer[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(servers.splice(0).map((server) => server.drain(0)))
})

/** Longer than any of these tests: a drain that ends did so by itself. */
const farMs = 60_000

async function start(app: RequestListener, isReady = async () => true): Promise<DrainingServer> {
  const server = await startDrainingServer({ app, host: '127.0.0.1', port: 0, isReady })
  servers.push(server)
  return server
}

/** A raw connection: what clients of a library hide is what these tests are about. */
async function dial(port: number) {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  let received = ''
  socket.on('data', (data) => {
    received += data
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  return {
    send: (text: string) => socket.write(text),
    received: () => received,
    closed: async () => {
      await closed
      return received
    },
  }
}

/** Connects, says nothing, and goes away. */
async function isRefused(port: number): Promise<boolean> {
  const client = connect(port, '127.0.0.1')
  sockets.push(client)
  const refused = await once(client, 'connect').then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  )
  client.destroy()
  return refused
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`

it('a request in flight is answered, with Connection: close, while new connections are refused', async () => {
  const arrived = createLatch('the request is in flight')
  const finish = createLatch('the request may finish')
  const server = await start(async (_request, response) => {
    arrived.open()
    await finish.wait()
    response.end('done')
  })
  const client = await dial(server.port)
  client.send(get('/slow'))
  await arrived.wait()

  const drained = server.drain(farMs)
  await eventually('new connections are refused', () => isRefused(server.port))
  finish.open()
  expect(await client.closed()).toMatch(/^HTTP\/1.1 200 OK\r\nConnection: close\r\n[\s\S]*done/)
  expect(await drained).toEqual({ cutOff: 0 })
})

it('a request whose connection this process has not seen yet when the drain begins is answered all the same', async () => {
  const server = await start((_request, response) => void response.end('done'))
  const clients = Array.from({ length: 30 }, () => {
    const client = connect(server.port, '127.0.0.1')
    sockets.push(client)
    client.write(get('/'))
    const received = once(client, 'data').then(([data]) => String(data))
    return Promise.race([received, once(client, 'error').then(([error]) => error.code)])
  })
  const drained = server.drain(farMs)
  for (const received of await Promise.all(clients)) expect(received).toMatch(/^HTTP\/1.1 200 OK/)
  expect(await drained).toEqual({ cutOff: 0 })
})

it('a connection whose answer had begun before the drain is closed once the answer is whole', async () => {
  const finish = createLatch('the answer may end')
  const server = await start(async (_request, response) => {
    response.write('beg')
    await finish.wait()
    response.end('un')
  })
  const client = await dial(server.port)
  client.send(get('/slow'))
  await eventually('beg arrives', () => client.received().includes('beg'))
  const drained = server.drain(farMs)
  finish.open()
  expect(await client.closed()).toContain('un')
  expect(await drained).toEqual({ cutOff: 0 })
})

it('idle connections, and those that never said anything, do not hold a drain up', async () => {
  const server = await start((_request, response) => void response.end('done'))
  const idle = await dial(server.port)
  const silent = await dial(server.port)
  idle.send(get('/'))
  await eventually('done arrives', () => idle.received().includes('done'))
  expect(await server.drain(farMs)).toEqual({ cutOff: 0 })
  expect(await silent.closed()).toBe('')
})

it('readiness is 503 from the first moment of a drain, also for a request that was half sent', async () => {
  const server = await start((_request, response) => void response.end('app'))
  const probe = await dial(server.port)
  probe.send('GET /readyz HTTP/1.1\r\n')
  const other = await dial(server.port)
  other.send(get('/readyz'))
  await eventually('the probe is answered', () => other.received().startsWith('HTTP/1.1 200 '))
  const drained = server.drain(farMs)
  probe.send('Host: here\r\n\r\n')
  expect(await probe.closed()).toMatch(/^HTTP\/1.1 503[\s\S]*Connection: close[\s\S]*draining/)
  await drained
})

it('a request that outlasts the deadline is cut off, and counted', async () => {
  const arrived = createLatch('the request is in flight')
  const server = await start(() => arrived.open())
  const client = await dial(server.port)
  client.send(get('/never'))
  await arrived.wait()
  expect(await server.drain(20)).toEqual({ cutOff: 1 })
  expect(await client.closed()).toBe('')
})

it('a second drain with an earlier deadline shortens the first', async () => {
  const arrived = createLatch('the request is in flight')
  const server = await start(() => arrived.open())
  const client = await dial(server.port)
  client.send(get('/never'))
  await arrived.wait()
  const first = server.drain(farMs)
  await server.drain(20)
  expect(await first).toEqual({ cutOff: 1 })
})

it('readiness follows the app, and what fails or does not answer in time is not ready', async () => {
  let isReady: () => Promise<boolean> = async () => true
  const server = await start(
    (_request, response) => void response.end('app'),
    () => isReady(),
  )
  const status = async (path: string) => (await fetch(`http://127.0.0.1:${server.port}${path}`)).status
  expect(await status('/readyz')).toBe(200)
  isReady = async () => false
  expect(await status('/readyz')).toBe(503)
  isReady = () => Promise.reject(new Error('the database is down'))
  expect(await status('/readyz')).toBe(503)
  isReady = () => new Promise(() => {})
  expect(await status('/readyz')).toBe(503)
  expect(await status('/healthz')).toBe(200)
})

it.each([
  ['a header beyond 8 KiB', `GET / HTTP/1.1\r\nHost: here\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`, 431],
  ['no HTTP', 'hello\r\n\r\n', 400],
])('%s is refused before the app sees it', async (_what, text, status) => {
  const server = await start((_request, response) => void response.end('app'))
  const client = await dial(server.port)
  client.send(text)
  expect(await client.closed()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
})

it.each([
  ['headers-too-large', 431, `GET / HTTP/1.1\r\nHost: here\r\nIdempotency-Key: ${'k'.repeat(9_000)}\r\n\r\n`],
  ['malformed-request', 400, 'get / HTTP/1.1\r\n\r\n'],
  ['malformed-request', 400, 'POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
])('bytes that are no request get the problem %s, and the app hears nothing', async (code, status, bytes) => {
  let asked = 0
  const server = await start(() => asked++)
  const client = await dial(server.port)
  client.send(bytes)
  const answer = await client.closed()
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*application/problem\\+json[\\s\\S]*"code":"${code}"`))
  expect(asked).toBe(0)
})

it('the health paths take GET and HEAD alone, and say so', async () => {
  const server = await start((_request, response) => void response.end('app'))
  const client = await dial(server.port)
  client.send('POST /readyz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n')
  expect(await client.closed()).toMatch(/^HTTP\/1.1 405[\s\S]*Allow: GET, HEAD[\s\S]*method-not-allowed/)
})

it('creates messages with the prototypes of an Express app, so that Express changes none of them', async () => {
  const app = express()
  app.get('/', (_request, response) => void response.send('answered'))
  const handle = Reflect.get(app, 'handle')
  const isRight: boolean[] = []
  Reflect.set(app, 'handle', (request: IncomingMessage, response: ServerResponse) => {
    isRight.push(Object.getPrototypeOf(request) === app.request, Object.getPrototypeOf(response) === app.response)
    handle.call(app, request, response)
  })
  const { port } = await start(app)
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('answered')
  expect(isRight).toEqual([true, true])
})

it('a request of more than 64 headers is refused, where Node would drop those behind the limit', async () => {
  const seen: string[] = []
  const server = await start((request, response) => {
    seen.push(request.headers['x-forwarded-for']?.toString() ?? 'none')
    response.end('answered')
  })
  const request = (others: number) =>
    `GET / HTTP/1.1\r\nHost: here\r\n${'X: y\r\n'.repeat(others)}X-Forwarded-For: 203.0.113.7\r\n\r\n`
  const [within, beyond] = [await dial(server.port), await dial(server.port)]
  within.send(request(62))
  await eventually('the request is answered', () => within.received().includes('answered'))
  beyond.send(request(63))
  expect(await beyond.closed()).toMatch(/^HTTP\/1.1 431 [\s\S]*Connection: close[\s\S]*"code":"headers-too-large"/)
  expect(seen).toEqual(['203.0.113.7'])
})

it('bytes behind a request that the app has begun cannot answer it', async () => {
  const [begun, done] = [createLatch('the app has the request'), createLatch('the app may end')]
  const ended: boolean[] = []
  const server = await start((_request, response) => {
    begun.open()
    void done.wait().then(() => {
      ended.push(true)
      response.end('booked')
    })
  })
  const client = await dial(server.port)
  client.send('POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}')
  await begun.wait()
  client.send('more than the length said\r\n\r\n')
  expect(await client.closed()).toBe('')
  done.open()
  await eventually('the app has ended', () => ended.length === 1)
})
