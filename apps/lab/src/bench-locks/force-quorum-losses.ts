import { createRedlock, type Lease, pause } from '@seatbelt/locks'
import type { Redis } from 'ioredis'
import { connectRedis } from './connect-redis.ts'
import type { ForcedLosses, LossPlan } from './force-losses.ts'

/** What can be done to a node, by its place in the list. */
export interface QuorumFaults {
  /** SIGSTOP; call what it gives to wake it up. */
  suspend(index: number): () => void
  /** SIGKILL. Nobody starts it again. */
  kill(index: number): Promise<void>
}

interface Subject {
  readonly lease: Lease
  readonly key: string
  /** When it was told; null while it has not been. */
  toldAtMs: number | null
  readonly told: Promise<void>
}

interface Fault {
  readonly nodes: readonly Redis[]
  readonly majority: readonly number[]
  readonly faults: QuorumFaults
  readonly plan: LossPlan
  /** Resolves when every holder has been told, or could have been. */
  untilTold(): Promise<void>
}

const commandBudgetMs = 100
const keyPrefix = 'quorum-loss:'

/**
 * Takes the majority away from many leases of a quorum, in four ways: their keys are deleted, three of five nodes hang, they hang
 * while this process's event loop is blocked again and again, they are killed. The last one is for good, so it is the last.
 *
 * The expiry is the nodes' word, asked right before the fault: the moment from which a majority of them could give the lock to
 * somebody else. (Deleted keys are free at once, and no lock can know that before it asks: there it is the expiry that they had.)
 */
export async function forceQuorumLosses(
  urls: readonly string[],
  faults: QuorumFaults,
  plan: LossPlan,
  signal: AbortSignal,
): Promise<ForcedLosses> {
  const margins: number[] = []
  for (const [name, fault] of Object.entries({ deleteKeys, suspendMajority, suspendAndBlock, killMajority })) {
    signal.throwIfAborted()
    margins.push(...(await lose(urls, name, fault, faults, plan)))
  }
  return {
    losses: margins.length,
    toldInTime: margins.filter((marginMs) => marginMs > 0).length,
    leastMarginMs: margins.length === 0 ? null : Math.min(...margins),
  }
}

/** How long before its expiry each holder was told; negative: after it, or never. */
async function lose(
  urls: readonly string[],
  name: string,
  fault: (context: Fault) => Promise<void>,
  faults: QuorumFaults,
  plan: LossPlan,
): Promise<number[]> {
  const nodes = await Promise.all(urls.map(connectRedis))
  const observers = await Promise.all(urls.map(connectRedis))
  const quorum = Math.floor(urls.length / 2) + 1
  try {
    const subjects = await holdMany(nodes, name, plan)
    const deadlinesThen = subjects.map(({ lease }) => lease.deadline)
    const expiriesMs = await Promise.all(subjects.map(({ key }) => majorityExpiryMs(observers, key, quorum)))
    const untilTold = () =>
      Promise.race([
        Promise.all(subjects.map(({ told }) => told)).then(() => undefined),
        pause(2 * plan.ttlMs).then(() => undefined),
      ])
    // The last ones, so that the first stay to be asked other things.
    const majority = urls.map((_, index) => index).slice(-quorum)
    await fault({ nodes: observers, majority, faults, plan, untilTold })
    return subjects.flatMap(({ lease, toldAtMs }, index) => {
      // Renewed after the question: what it was told is no longer its expiry.
      if (lease.deadline !== deadlinesThen[index]) return []
      return [(expiriesMs[index] ?? 0) - (toldAtMs ?? Number.POSITIVE_INFINITY)]
    })
  } finally {
    for (const client of [...nodes, ...observers]) client.disconnect()
  }
}

async function deleteKeys({ nodes, majority, untilTold }: Fault): Promise<void> {
  for (const index of majority) {
    const node = nodes[index]
    const keys = (await node?.keys(`${keyPrefix}*`)) ?? []
    if (keys.length > 0) await node?.del(...keys)
  }
  await untilTold()
}

async function suspendMajority({ majority, faults, untilTold }: Fault): Promise<void> {
  const resumes = majority.map((index) => faults.suspend(index))
  try {
    await untilTold()
  } finally {
    for (const resume of resumes) resume()
  }
}

/** Blocked for half of the lead with which the signal comes, and then free for one turn. */
async function suspendAndBlock({ majority, faults, plan, untilTold }: Fault): Promise<void> {
  const resumes = majority.map((index) => faults.suspend(index))
  let isOver = false
  const told = untilTold().finally(() => {
    isOver = true
  })
  try {
    while (!isOver) {
      const untilMs = performance.now() + plan.ttlMs / 20
      while (performance.now() < untilMs);
      await pause(1)
    }
    await told
  } finally {
    for (const resume of resumes) resume()
  }
}

async function killMajority({ majority, faults, untilTold }: Fault): Promise<void> {
  await Promise.all(majority.map((index) => faults.kill(index)))
  await untilTold()
}

/** Leases that were taken over one TTL, so that their renewals are spread over it too, each renewed at least once. */
async function holdMany(nodes: readonly Redis[], name: string, { leasesPerFault, ttlMs }: LossPlan) {
  const lock = createRedlock({ nodes, commandBudgetMs, keyPrefix, longestTtlMs: ttlMs })
  const subjects = await Promise.all(
    Array.from({ length: leasesPerFault }, async (_, index) => {
      await pause((index / leasesPerFault) * ttlMs)
      const acquisition = await lock.acquire(`${name}:${index}`, { ttlMs })
      // A machine that is too busy for the budget gives fewer leases to lose, and their number is part of the report.
      return acquisition.acquired ? subjectOf(acquisition.lease) : null
    }),
  )
  await pause(ttlMs / 2)
  return subjects.filter((subject) => subject !== null)
}

function subjectOf(lease: Lease): Subject {
  const subject: Subject = {
    lease,
    key: keyPrefix + lease.resource,
    toldAtMs: null,
    told: new Promise((resolve) => {
      lease.signal.addEventListener('abort', () => {
        subject.toldAtMs = performance.now()
        resolve()
      })
    }),
  }
  return subject
}

/** From here on a majority of the nodes could give it to somebody else: counted from before the question, so never too late. */
async function majorityExpiryMs(nodes: readonly Redis[], key: string, quorum: number): Promise<number> {
  const askedAtMs = performance.now()
  const pttls = await Promise.all(nodes.map((node) => node.pttl(key)))
  return askedAtMs + (pttls.toSorted((one, other) => one - other)[quorum - 1] ?? 0)
}
