import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createLatch, eventually } from '@seatbelt/testing'
import express from 'express'
import { Registry } from 'prom-client'
import { afterEach, expect, it } from 'vitest'
import {
  createEventStreams,
  type DrainingServer,
  type Follow,
  jsonAnswer,
  sendAnswer,
  startDrainingServer,
} from '../src/index.ts'

const servers: DrainingServer[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(servers.splice(0).map((server) => server.drain(0)))
})

/** Longer than any of these tests: what ends did so by itself. */
const farMs = 60_000

type Options = Omit<Parameters<typeof createEventStreams>[0], 'registry'>

/** A server whose every path is a stream, of the account that the path names. */
async function start(follow: Follow, options: Options = {}) {
  const registry = new Registry()
  const streams = createEventStreams({ registry, heartbeatMs: farMs, ...options })
  const app = express()
  app.get('/:accountId', async (request, response) => {
    const { accountId } = request.params
    const refused = await streams.run(response, { accountId, isHead: request.method === 'HEAD', follow })
    if (refused) sendAnswer(response, refused)
  })
  const server = await startDrainingServer({ app, host: '127.0.0.1', port: 0, isReady: async () => true })
  servers.push(server)
  const metric = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values[0]?.value
  return {
    server,
    streams,
    open: () => metric('event_streams_open'),
    cutOff: () => metric('event_streams_cut_off_total'),
  }
}

/** A raw connection that asks for a stream. */
async function ask(port: number, accountId = 'shop', method = 'GET') {
  const socket = connect(port, '127.0.0.1')
  sockets.push(socket)
  let received = ''
  socket.on('data', (data) => {
    received += data
  })
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  await once(socket, 'connect')
  socket.write(`${method} /${accountId} HTTP/1.1\r\nHost: here\r\n\r\n`)
  return {
    socket,
    closed,
    received: () => received,
    heard: (text: string) => eventually(`'${text}' comes`, () => received.includes(text)),
  }
}

/** Follows, and lets the test send and see when it ends. */
function following() {
  const sends: ((text: string) => void)[] = []
  const stops = { count: 0 }
  const follow: Follow = async (send) => {
    sends.push(send)
    return () => {
      stops.count += 1
    }
  }
  return { follow, sends, stops }
}

it('what is sent comes at once, and nothing is followed for one who has gone', async () => {
  const { follow, sends, stops } = following()
  const { server, open } = await start(follow)
  const client = await ask(server.port)
  await client.heard('retry: 1000')
  expect(client.received()).toMatch(/^HTTP\/1.1 200 [\s\S]*content-type: text\/event-stream/i)
  sends[0]?.('data: one\n\n')
  await client.heard('data: one')
  expect(await open()).toBe(1)
  client.socket.destroy()
  await eventually('the following ends', () => stops.count === 1)
  expect(await open()).toBe(0)
  // What follows may not have heard of it yet.
  sends[0]?.('data: two\n\n')
})

it('what comes while it is begun is not lost, and one who went meanwhile is not followed on', async () => {
  const goOn = createLatch('the following is begun')
  const begun = createLatch('the client has gone')
  let stopped = 0
  const { server, open } = await start(async (send) => {
    send('data: early\n\n')
    await goOn.wait()
    return () => {
      stopped += 1
      begun.open()
    }
  })
  const client = await ask(server.port)
  await client.heard('data: early')
  client.socket.destroy()
  await eventually('the client has gone', async () => (await open()) === 0)
  goOn.open()
  await begun.wait()
  expect(stopped).toBe(1)
})

it('a silent stream has a heartbeat, so that nobody in between takes it for dead', async () => {
  const { follow } = following()
  const { server } = await start(follow, { heartbeatMs: 5 })
  await (await ask(server.port)).heard(': still here\n\n')
})

it('a stream is over after its time, so that its key is looked at anew, and is not torn', async () => {
  const { follow, stops } = following()
  const { server } = await start(follow, { longestMs: 5 })
  const client = await ask(server.port)
  await client.heard('\r\n0\r\n\r\n')
  await eventually('it is followed no more', () => stops.count === 1)
})

it('who does not read is cut off, and what waits for him is bounded', async () => {
  const { follow, sends, stops } = following()
  const { server, cutOff } = await start(follow, { mostBufferedBytes: 100_000 })
  const slow = await ask(server.port)
  const quick = await ask(server.port)
  await quick.heard('retry')
  await slow.heard('retry')
  slow.socket.pause()
  // The kernel's own buffers take some megabytes before anything waits here.
  const chunk = `data: ${'x'.repeat(50_000)}\n\n`
  let sent = 0
  await eventually('the slow one is cut off', async () => {
    sends[0]?.(chunk)
    sent += 1
    return (await cutOff()) === 1
  })
  expect(sent * chunk.length).toBeLessThan(50_000_000)
  await eventually('it is followed no more', () => stops.count === 1)
  sends[1]?.('data: still\n\n')
  await quick.heard('data: still')
})

it('there are so many places and no more, and of one account fewer', async () => {
  const { follow } = following()
  const { server } = await start(follow, { most: 3, mostOfAccount: 2 })
  const first = await ask(server.port, 'shop')
  await first.heard('retry')
  await (await ask(server.port, 'shop')).heard('retry')
  const third = await ask(server.port, 'shop')
  await third.heard('too-many-requests')
  expect(third.received()).toMatch(/^HTTP\/1.1 429 [\s\S]*retry-after: 5/i)
  await (await ask(server.port, 'other')).heard('retry')
  const fifth = await ask(server.port, 'another')
  await fifth.heard('temporarily-unavailable')
  expect(fifth.received()).toMatch(/^HTTP\/1.1 503 [\s\S]*retry-after: 5/i)

  first.socket.destroy()
  await eventually('there is a place again', async () => {
    const again = await ask(server.port, 'shop')
    await again.heard('\r\n\r\n')
    return again.received().startsWith('HTTP/1.1 200')
  })
})

it('why there is none is an answer as any other, and its place is free again', async () => {
  const { server, open } = await start(async () => jsonAnswer(503, { why: 'away' }), { most: 1 })
  for (const _ of [1, 2]) {
    const client = await ask(server.port)
    await client.heard('{"why":"away"}')
    await eventually('the place is free', async () => (await open()) === 0)
  }
})

it('a server that drains ends its streams at once, begins no more, and is not held up', async () => {
  const { follow, stops } = following()
  const { server, streams } = await start(follow)
  const clients = [await ask(server.port), await ask(server.port)]
  for (const client of clients) await client.heard('retry')
  const late = connect(server.port, '127.0.0.1')
  sockets.push(late)
  await once(late, 'connect')

  const drained = server.drain(farMs)
  streams.end()
  late.write('GET /shop HTTP/1.1\r\nHost: here\r\n\r\n')
  const [answer] = await once(late, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1.1 503 /)
  expect(await drained).toEqual({ cutOff: 0 })
  await Promise.all(clients.map(({ closed }) => closed))
  // The last chunk: the stream has ended, and was not torn.
  for (const client of clients) expect(client.received()).toMatch(/\r\n0\r\n\r\n$/)
  expect(stops.count).toBe(2)
})

it('a client that does not read holds up no drain', async () => {
  const { follow, sends, stops } = following()
  const { server, streams } = await start(follow, { mostBufferedBytes: 100_000_000 })
  const slow = await ask(server.port)
  await slow.heard('retry')
  slow.socket.pause()
  // More than the kernel's own buffers take.
  sends[0]?.(`data: ${'x'.repeat(20_000_000)}\n\n`)
  const drained = server.drain(farMs)
  streams.end()
  expect(await drained).toEqual({ cutOff: 0 })
  expect(stops.count).toBe(1)
})

it('a stream that was being begun when the server drains ends as soon as it is', async () => {
  const asked = createLatch('it is begun')
  const goOn = createLatch('it goes on')
  let stopped = false
  const { server, streams } = await start(async () => {
    asked.open()
    await goOn.wait()
    return () => {
      stopped = true
    }
  })
  const client = await ask(server.port)
  await asked.wait()
  const drained = server.drain(farMs)
  streams.end()
  goOn.open()
  expect(await drained).toEqual({ cutOff: 0 })
  await client.closed
  expect([client.received().startsWith('HTTP/1.1 200'), stopped]).toEqual([true, true])
})

it('a HEAD is the head, and nothing is followed', async () => {
  const { follow, sends } = following()
  const { server, open } = await start(follow)
  const client = await ask(server.port, 'shop', 'HEAD')
  await client.heard('text/event-stream')
  await eventually('its place is free', async () => (await open()) === 0)
  expect(sends).toEqual([])
})
