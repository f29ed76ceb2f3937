import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { startLeakCheck } from '../src/index.ts'

describe('the leak check', () => {
  it('finds a forgotten timer, also one that keeps no process alive, and says whose it is', async () => {
    const check = startLeakCheck()
    const timer = setTimeout(() => {}, 60_000).unref()
    const failure = await failureOf(check.assertNoLeaks({ graceMs: 100 }))
    clearTimeout(timer)
    expect(failure.message).toMatch(/Timeout at .*leak-check\.test\.ts/)
  })

  it('finds an open server and both ends of an open connection', async () => {
    const check = startLeakCheck()
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not bound to a port')
    const client = connect(address.port, '127.0.0.1')
    const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')])
    expect(check.open().some((line) => line.startsWith('TCPSERVERWRAP'))).toBe(true)
    expect(check.open().some((line) => line.startsWith('TCPWRAP'))).toBe(true)
    accepted.destroy()
    client.destroy()
    server.close()
    await check.assertNoLeaks()
  })

  it('has nothing to say about what was closed, or is the test runner’s', async () => {
    const check = startLeakCheck()
    clearTimeout(setTimeout(() => {}, 60_000))
    await new Promise((resolve) => setTimeout(resolve, 5))
    await check.assertNoLeaks()
  })
})

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('it did not fail')
}
