import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { findFreePorts } from '../../src/stack/free-ports.ts'

it('a wish is granted while nobody is there, and replaced when somebody is', async () => {
  const taken = await listenSomewhere()
  const [free = 0] = await findFreePorts([null])
  expect(await findFreePorts([free])).toEqual([free])
  const [instead] = await findFreePorts([taken])
  expect(instead).not.toBe(taken)
})

it('ports found together differ, even for the same wish', async () => {
  const [wish = 0] = await findFreePorts([null])
  const ports = await findFreePorts([wish, wish, null, null, null])
  expect(new Set(ports).size).toBe(5)
})

it('a replica that is down cannot lose its port to an outgoing connection', async () => {
  const ports = await findFreePorts(Array.from({ length: 20 }, () => null))
  // The lowest that any system we run on gives to outgoing connections.
  expect(Math.max(...ports)).toBeLessThan(32_768)
})

async function listenSomewhere(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return (server.address() as AddressInfo).port
}
