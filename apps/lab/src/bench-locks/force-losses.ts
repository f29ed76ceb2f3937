import { createRedisLock, type Lease, pause } from '@seatbelt/locks'
import type { Redis } from 'ioredis'
import { connectRedis } from './connect-redis.ts'

export interface ForcedLosses {
  /** Leases whose renewal was made impossible while they were held, and whose end could be observed. */
  readonly losses: number
  /** Of these, how many were told before their lock can have expired. */
  readonly toldInTime: number
  /** Between the signal and the expiry, the least of them. Null: nothing was lost. */
  readonly leastMarginMs: number | null
}

export interface LossPlan {
  /** How many leases each of the faults takes. */
  readonly leasesPerFault: number
  readonly ttlMs: number
}

interface Place {
  readonly url: string
  readonly suspend: () => () => void
  readonly plan: LossPlan
}

/** A held lease, and how it ended. */
interface Subject {
  readonly key: string
  readonly lease: Lease
  /** How long before its expiry it was told, once it was. Null: that could not be observed. */
  marginMs: number | null
  readonly told: Promise<void>
}

const commandBudgetMs = 100
const keyPrefix = 'loss:'
/** A loss that nobody was told of. */
const neverToldMarginMs = -1

/**
 * Makes many leases of one Redis impossible to renew, in three ways: the connection is cut for good, every renewal is answered with
 * an error, the server is suspended. The leases are at every phase of their renewal when it happens. The expiry is the server's
 * word: its PTTL, counted from before the question was sent.
 */
export async function forceLosses(
  url: string,
  suspend: () => () => void,
  plan: LossPlan,
  signal: AbortSignal,
): Promise<ForcedLosses> {
  const margins: number[] = []
  for (const fault of [cutConnection, answerWithErrors, suspendServer]) {
    signal.throwIfAborted()
    const subjects = await fault({ url, suspend, plan })
    margins.push(...subjects.flatMap(({ marginMs }) => marginMs ?? []))
  }
  return {
    losses: margins.length,
    toldInTime: margins.filter((marginMs) => marginMs > 0).length,
    leastMarginMs: margins.length === 0 ? null : Math.min(...margins),
  }
}

async function cutConnection({ url, plan }: Place): Promise<readonly Subject[]> {
  const client = await connectRedis(url)
  const observer = await connectRedis(url)
  const subjects = await holdMany(client, observer, plan, 'cut')
  client.disconnect()
  await untilTold(subjects, plan)
  observer.disconnect()
  return subjects
}

async function answerWithErrors({ url, plan }: Place): Promise<readonly Subject[]> {
  const client = await connectRedis(url)
  const observer = await connectRedis(url)
  const subjects = await holdMany(client, observer, plan, 'refused')
  try {
    await observer.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval')
    await untilTold(subjects, plan)
  } finally {
    await observer.call('ACL', 'SETUSER', 'default', '+evalsha', '+eval')
  }
  client.disconnect()
  observer.disconnect()
  return subjects
}

/** Nobody can ask a suspended server when its keys expire, so it is asked just before; who was renewed since then does not count. */
async function suspendServer({ url, suspend, plan }: Place): Promise<readonly Subject[]> {
  const client = await connectRedis(url)
  const observer = await connectRedis(url)
  const subjects = await holdMany(client, null, plan, 'suspended')
  const askedAtMs = performance.now()
  const deadlinesThen = subjects.map(({ lease }) => lease.deadline)
  const pttls = await Promise.all(subjects.map(({ key }) => observer.pttl(key)))
  const resume = suspend()
  try {
    subjects.forEach((subject, index) => {
      const expiresAtMs = askedAtMs + (pttls[index] ?? 0)
      subject.lease.signal.addEventListener('abort', () => {
        const wasRenewed = subject.lease.deadline !== deadlinesThen[index]
        subject.marginMs = wasRenewed ? null : expiresAtMs - performance.now()
      })
    })
    await untilTold(subjects, plan)
  } finally {
    resume()
  }
  client.disconnect()
  observer.disconnect()
  return subjects
}

/** Leases that were taken over one TTL, so that their renewals are spread over it too, each renewed at least once. */
async function holdMany(
  client: Redis,
  observer: Redis | null,
  { leasesPerFault, ttlMs }: LossPlan,
  name: string,
): Promise<Subject[]> {
  const lock = createRedisLock({ client, commandBudgetMs, keyPrefix })
  const subjects = await Promise.all(
    Array.from({ length: leasesPerFault }, async (_, index) => {
      await pause((index / leasesPerFault) * ttlMs)
      const acquisition = await lock.acquire(`${name}:${index}`, { ttlMs })
      // A machine that is too busy for the budget gives fewer leases to lose, and their number is part of the report.
      return acquisition.acquired ? subjectOf(acquisition.lease, observer) : null
    }),
  )
  await pause(ttlMs / 2)
  return subjects.filter((subject) => subject !== null)
}

function subjectOf(lease: Lease, observer: Redis | null): Subject {
  const key = keyPrefix + lease.resource
  const subject: { marginMs: number | null } & Omit<Subject, 'marginMs'> = {
    key,
    lease,
    marginMs: neverToldMarginMs,
    told: new Promise((resolve) => {
      const look = async () => {
        // The key is still there when the server answers, later than now: so it was there now. -2 where it is not.
        if (observer !== null) subject.marginMs = await observer.pttl(key)
        resolve()
      }
      lease.signal.addEventListener('abort', () => void look(), { once: true })
    }),
  }
  return subject
}

async function untilTold(subjects: readonly Subject[], { ttlMs }: LossPlan): Promise<void> {
  await Promise.race([Promise.all(subjects.map(({ told }) => told)), pause(2 * ttlMs)])
}
