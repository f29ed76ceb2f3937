import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Ports are taken from below the range that the kernel itself gives to outgoing connections (from 32768 on Linux, 49152 on
 * macOS): while a killed replica is down, the load's next connection must not be given its port.
 */
const lowestPort = 20_000
const highestPort = 32_000

/** With this many misses in a row something other than bad luck is the reason. */
const mostTries = 200

/**
 * Finds a free port on 127.0.0.1 for each wish: the wished one where it is free, else any other.
 *
 * Does not guarantee that they stay free: another program may take one before it is used. They are all held until the last is
 * found, so that they differ.
 */
export async function findFreePorts(wishes: readonly (number | null)[]): Promise<number[]> {
  const reservations: Reservation[] = []
  try {
    for (const wish of wishes) reservations.push(await reserve(wish))
    return reservations.map(({ port }) => port)
  } finally {
    await Promise.all(reservations.map(({ release }) => release()))
  }
}

interface Reservation {
  readonly port: number
  readonly release: () => Promise<void>
}

async function reserve(wish: number | null): Promise<Reservation> {
  const wished = wish === null ? null : await tryReserve(wish)
  if (wished !== null) return wished
  for (let tried = 0; tried < mostTries; tried += 1) {
    const reservation = await tryReserve(randomInt(lowestPort, highestPort))
    if (reservation !== null) return reservation
  }
  throw new Error(`no free port on 127.0.0.1 from ${lowestPort} to ${highestPort}`)
}

function tryReserve(port: number): Promise<Reservation | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      resolve({ port, release: () => new Promise((done) => server.close(() => done())) })
    })
  })
}
