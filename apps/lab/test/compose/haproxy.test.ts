import { createServer, request, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { eventually, findHaProxy, type HaProxy, startHaProxy } from '@seatbelt/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readText } from './read-compose-file.ts'

/** Of Debian 12, 2.6. The compose file runs 3.2, which knows the same directives. */
const binary = findHaProxy()

/** What deploy/haproxy.cfg lets an address have at once. */
const mostConnections = 200

describe.skipIf(binary === null)('the real load balancer', { timeout: 120_000 }, () => {
  const replicas: Server[] = []
  const seen: (string | string[] | undefined)[] = []
  let balancer: HaProxy
  let unlimited: HaProxy
  beforeAll(async () => {
    const settings = readText('deploy/haproxy.cfg')
    const names = [...settings.matchAll(/^ +server (\S+) (\S+)/gm)].map(([, , address = '']) => address)
    const ports = new Map<string, number>()
    for (const name of names) ports.set(name, await startReplica())
    const configurationFor = (port: number) =>
      settings
        .replace('bind :4000', `bind 127.0.0.1:${port}`)
        .replace(/(?<=^ +server \S+ )\S+/gm, (address) => `127.0.0.1:${ports.get(address)}`)
    balancer = await startHaProxy(binary ?? '', configurationFor, { UNLIMITED_NETWORKS: '' })
    unlimited = await startHaProxy(binary ?? '', configurationFor, { UNLIMITED_NETWORKS: '10.0.0.0/8 127.0.0.0/8' })
    for (const { port } of [balancer, unlimited])
      await eventually('the replicas are found', async () => (await get(port, '/v1/orders')) === 200)
  })
  afterAll(async () => {
    for (const one of [balancer, unlimited]) await one?.close()
    for (const replica of replicas) replica.closeAllConnections()
    await Promise.all(replicas.map((replica) => new Promise((resolve) => replica.close(resolve))))
  })

  const sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })

  async function startReplica(): Promise<number> {
    const replica = createServer((received, response) => {
      if (received.url !== '/readyz') seen.push(received.headers['x-forwarded-for'])
      response.end('{}')
    })
    replicas.push(replica)
    await new Promise<void>((resolve) => replica.listen(0, '127.0.0.1', resolve))
    const address = replica.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  function get(port: number, path: string, headers = {}, localAddress = '127.0.0.1'): Promise<number | null> {
    return new Promise((resolve) => {
      const sent = request({ port, path, headers, localAddress, host: '127.0.0.1', agent: false }, (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode ?? null))
      })
      sent.once('error', () => resolve(null))
      sent.end()
    })
  }

  /** Opens so many connections that say nothing. Returns a function that counts those that the balancer has closed. */
  function dial(port: number, count: number): () => number {
    const opened = Array.from({ length: count }, () => connect(port, '127.0.0.1'))
    let closed = 0
    for (const socket of opened) {
      socket.on('error', () => undefined)
      socket.once('close', () => closed++)
      socket.resume()
    }
    sockets.push(...opened)
    return () => closed
  }

  it('tells a replica the address that it sees, and not what the client says about itself', async () => {
    seen.length = 0
    expect(await get(balancer.port, '/v1/orders', { 'X-Forwarded-For': '6.6.6.6' }, '127.0.0.9')).toBe(200)
    expect(seen).toEqual(['127.0.0.9'])
  })

  it('closes the connections of an address that has too many, and serves another one', async () => {
    const closed = dial(balancer.port, mostConnections + 50)
    await eventually('those beyond the limit are closed', () => closed() === 50)
    expect(await get(balancer.port, '/v1/orders')).toBeNull()
    expect(await get(balancer.port, '/v1/orders', {}, '127.0.0.2')).toBe(200)
  })

  it('does not count the connections of networks that are exempt', async () => {
    const closed = dial(unlimited.port, mostConnections + 50)
    expect(await get(unlimited.port, '/v1/orders')).toBe(200)
    expect(closed()).toBe(0)
  })

  it.each(['/metrics', '/readyz'])('answers %s itself, because one replica by chance would mislead', async (path) => {
    expect(await get(balancer.port, path)).toBe(404)
  })
})
