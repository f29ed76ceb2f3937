import type { Redis } from 'ioredis'
import { createGiveBack, type GiveBack } from './give-back.ts'
import { createGatherer, type Gatherer } from './one-write.ts'
import { isConnected } from './redis-lock.ts'
import type { RedisClient } from './redis-scripts.ts'

/** What Redlock needs of an ioredis client: a lock's commands, and to learn how long its server has been up. */
export type RedlockClient = RedisClient & Pick<Redis, 'info' | 'on'>

/** One of Redlock's nodes, and whether it may vote now. */
export interface RedlockNode {
  readonly client: RedlockClient
  readonly giveBack: GiveBack
  readonly gather: Gatherer
  /** A look at the server that is under way; waiting for it is worth one round trip. */
  readonly lookingAt: Promise<void> | undefined
  /** Why it may not vote, or `undefined` if it may. */
  whyAbsent(): Error | undefined
}

/**
 * Delayed rejoin: a server that was restarted may have forgotten locks that are still held, so it gives none away until
 * each of them must be over.
 *
 * **Guarantees**: a server votes only when it has been up for `rejoinDelayMs`, by its own uptime, which every client
 * reads anew on every connection; so a client that never saw the server before is as careful as one that saw it go. A
 * server that stands in the list twice, under whatever names, votes once.
 *
 * **Does not guarantee**: anything about data that is lost without a restart (FLUSHALL, an eviction policy that takes
 * keys with a TTL), nor behind a proxy that keeps the client's connection while it changes the server. All nodes are
 * new when a cluster is first started: then there is no lock for one delay. The uptime is the difference of two
 * readings of the server's wall clock, which a jump makes false, as it makes false the expiry of its keys.
 *
 * **Fails with**: nothing; a server whose INFO does not answer is absent, and is asked again at the next occasion.
 *
 * **Source**: Redis, "Distributed Locks with Redis", section "Performance, crash recovery and fsync" (delayed
 * restarts).
 */
export function watchNodes(
  clients: readonly RedlockClient[],
  { rejoinDelayMs, commandBudgetMs }: { readonly rejoinDelayMs: number; readonly commandBudgetMs: number },
): RedlockNode[] {
  const owners = new Map<string, RedlockClient>()
  return clients.map((client) => watchNode(client, owners, rejoinDelayMs, commandBudgetMs))
}

function watchNode(
  client: RedlockClient,
  owners: Map<string, RedlockClient>,
  rejoinDelayMs: number,
  commandBudgetMs: number,
): RedlockNode {
  let connection = 0
  let known: { readonly votesFromMs: number; readonly runId: string } | undefined
  let lookingAt: Promise<void> | undefined

  const forget = () => {
    connection++
    if (known !== undefined) owners.delete(known.runId)
    known = undefined
    lookingAt = undefined
  }
  const look = () => {
    const seen = connection
    lookingAt = client.info('server').then(
      (info) => {
        if (seen !== connection) return
        lookingAt = undefined
        known = readServerInfo(info, rejoinDelayMs)
        if (known !== undefined && !owners.has(known.runId)) owners.set(known.runId, client)
      },
      () => {
        if (seen === connection) lookingAt = undefined
      },
    )
  }
  client.on('close', forget)
  client.on('ready', () => {
    forget()
    look()
  })
  if (client.status === 'ready') look()

  return {
    client,
    giveBack: createGiveBack(client, commandBudgetMs),
    gather: createGatherer(client),
    get lookingAt() {
      return lookingAt
    },
    whyAbsent() {
      if (!isConnected(client)) return new Error('not connected to Redis')
      if (known === undefined) {
        if (lookingAt === undefined) look()
        return new Error('it is not known yet how long this Redis has been up')
      }
      if (owners.get(known.runId) !== client) return new Error('this Redis stands in the list of nodes twice')
      const leftMs = known.votesFromMs - performance.now()
      if (leftMs <= 0) return undefined
      return new Error(`this Redis was started lately: it votes again in ${Math.ceil(leftMs)} ms`)
    },
  }
}

/** The uptime is a difference of whole seconds: up to one of them may not have gone by. */
function readServerInfo(info: string, rejoinDelayMs: number) {
  const uptimeSeconds = Number(/^uptime_in_seconds:(\d+)/m.exec(info)?.[1] ?? Number.NaN)
  const runId = /^run_id:(\w+)/m.exec(info)?.[1]
  if (runId === undefined || Number.isNaN(uptimeSeconds)) return undefined
  return { runId, votesFromMs: performance.now() + rejoinDelayMs - (uptimeSeconds - 1) * 1000 }
}
