import { createRedlock, pause } from '@seatbelt/locks'
import type { Redis } from 'ioredis'
import { createPackageRedlock, type PackageName } from './redlock-packages.ts'

export interface Validity {
  /** How many were asked for at once all the time, and had less than the asked minimum left when they were handed out. */
  readonly house: LeasesHandedOut
  readonly packages: Readonly<Record<PackageName, LeasesHandedOut>>
}

export interface LeasesHandedOut {
  readonly leases: number
  readonly belowMinimum: number
  /** What the shortest of them had left. Null: none was handed out. */
  readonly leastLeftMs: number | null
}

const ttlMs = 300
const minValidityMs = 150
const commandBudgetMs = 80
/** Between the lock's own look and ours some steps of this process go by; a lease is not called short for that. */
const betweenLooksMs = 1
const contendersEach = 4
/** From what a vote survives to longer than the TTL. */
const suspensionMs = { least: 20, most: 400 }

/**
 * Asks for leases with at least half of their TTL left, while a majority of the nodes is suspended again and again for a random time: by
 * then some of the votes arrive when the lease is nearly or entirely over. The packages are asked at the same time; they know no
 * minimum, so what they hand out is what a caller has who does not look himself.
 */
export async function measureValidity(
  nodes: readonly Redis[],
  suspend: (index: number) => () => void,
  { durationMs, signal }: { readonly durationMs: number; readonly signal: AbortSignal },
): Promise<Validity> {
  const untilMs = performance.now() + durationMs
  const house = createRedlock({ nodes, commandBudgetMs, minValidityMs, longestTtlMs: ttlMs, keyPrefix: 'validity:' })
  const isOver = () => signal.aborted || performance.now() >= untilMs
  const askHouse = async (resource: string) => {
    const acquisition = await house.acquire(resource, { ttlMs })
    if (!acquisition.acquired) return null
    const leftMs = acquisition.lease.deadline - performance.now()
    await acquisition.lease.release()
    return leftMs
  }
  const askPackage = (name: PackageName) => {
    const redlock = createPackageRedlock(name, nodes, { retryCount: 0, retryDelay: 0, retryJitter: 0 })
    return async (resource: string) => {
      const lock = await redlock.acquire([`${name}:${resource}`], ttlMs).catch(() => null)
      if (lock === null) return null
      const leftMs = lock.expiration - Date.now()
      await lock.release().catch(() => undefined)
      return leftMs
    }
  }

  const [ofHouse, ofRedlock, ofSesamecare] = await Promise.all([
    collect(askHouse, isOver),
    collect(askPackage('redlock'), isOver),
    collect(askPackage('sesamecare-redlock'), isOver),
    suspendAgainAndAgain(suspend, majorityOf(nodes), isOver),
  ])
  signal.throwIfAborted()
  return { house: ofHouse, packages: { redlock: ofRedlock, 'sesamecare-redlock': ofSesamecare } }
}

function majorityOf(nodes: readonly Redis[]): number {
  return Math.floor(nodes.length / 2) + 1
}

/** `ask` resolves with what is left of a lease, or null where it was refused. */
async function collect(
  ask: (resource: string) => Promise<number | null>,
  isOver: () => boolean,
): Promise<LeasesHandedOut> {
  const leftMs: number[] = []
  const contend = async (contender: number) => {
    for (let turn = 0; !isOver(); turn++) {
      const left = await ask(`${contender}:${turn}`)
      if (left !== null) leftMs.push(left)
      // A breath between two questions: it is the suspensions that matter, not the throughput.
      await pause(left === null ? 20 : 2)
    }
  }
  await Promise.all(Array.from({ length: contendersEach }, (_, contender) => contend(contender)))
  return {
    leases: leftMs.length,
    belowMinimum: leftMs.filter((left) => left < minValidityMs - betweenLooksMs).length,
    leastLeftMs: leftMs.length === 0 ? null : Math.min(...leftMs),
  }
}

async function suspendAgainAndAgain(
  suspend: (index: number) => () => void,
  count: number,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const resumes = Array.from({ length: count }, (_, index) => suspend(index))
    try {
      await pause(suspensionMs.least + Math.random() * (suspensionMs.most - suspensionMs.least))
    } finally {
      for (const resume of resumes) resume()
    }
    await pause(Math.random() * 100)
  }
}
