import type { RequestListener } from 'node:http'
import { createLatch } from '@seatbelt/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventSender } from '../src/webhooks/event-sender.ts'
import { listen } from './support.ts'

async function openSender(receiver: RequestListener, timeoutMs = 5_000) {
  const { url, close } = await listen(receiver)
  const sender = new EventSender(timeoutMs)
  onTestFinished(() => sender.stop())
  return { sender, close, post: () => sender.post(`${url}/webhooks`, '{"id":"evt_1"}', 't=1,v1=00') }
}

const answerWith =
  (status: number, headers: Record<string, string> = {}): RequestListener =>
  (request, response) => {
    request.resume()
    response.writeHead(status, headers).end('{}')
  }

describe('a delivery', () => {
  it.each([
    [200, true],
    [204, true],
    [302, false],
    [400, false],
    [500, false],
  ])('that is answered with %s is taken: %s', async (status, isTaken) => {
    const { post } = await openSender(answerWith(status, { Location: '/elsewhere' }))
    expect(await post()).toBe(isTaken)
  })

  it('carries the body and the signature', async () => {
    const received: unknown[] = []
    const { post } = await openSender((request, response) => {
      const { method, url, headers } = request
      const { 'content-type': type, 'content-length': length, 'stripe-signature': signature } = headers
      let body = ''
      request.on('data', (chunk) => (body += chunk))
      request.on('end', () => {
        received.push({ method, url, type, length, signature, body })
        response.end()
      })
    })
    await post()
    const type = 'application/json; charset=utf-8'
    const body = '{"id":"evt_1"}'
    expect(received).toEqual([{ method: 'POST', url: '/webhooks', type, length: '14', signature: 't=1,v1=00', body }])
  })

  it('uses the connection of the one before it', async () => {
    const connections = new Set<unknown>()
    const { post } = await openSender((request, response) => {
      connections.add(request.socket)
      answerWith(200)(request, response)
    })
    for (let n = 0; n < 5; n += 1) expect(await post()).toBe(true)
    expect(connections.size).toBe(1)
  })

  it('fails when the receiver does not listen', async () => {
    const { post, close } = await openSender(answerWith(200))
    close()
    expect(await post()).toBe(false)
  })

  it('fails when the answer breaks off, although it began with 200', async () => {
    const { post } = await openSender((_request, response) => {
      response.writeHead(200, { 'Content-Length': '100' })
      response.write('{', () => response.destroy())
    })
    expect(await post()).toBe(false)
  })

  it('fails when the answer, begun or not, takes too long', async () => {
    const silent = await openSender(() => {}, 30)
    expect(await silent.post()).toBe(false)
    const slow = await openSender((_request, response) => response.writeHead(200).write('{'), 30)
    expect(await slow.post()).toBe(false)
  })

  it('is cut off by stop', async () => {
    const arrived = createLatch('the delivery has arrived')
    const { sender, post } = await openSender(() => arrived.open())
    const posting = post()
    await arrived.wait()
    sender.stop()
    expect(await posting).toBe(false)
  })
})
