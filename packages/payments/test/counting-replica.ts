import { startTcpProxy } from '@seatbelt/testing'
import { onTestFinished } from 'vitest'
import type { Replica, Shop } from './shop.ts'

/** A replica whose statements can be counted, as they go over the wire. For the length of one test. */
export async function countingReplica(shop: Shop, by: string) {
  const { hostname, port } = new URL(shop.databaseUrl)
  const proxy = await startTcpProxy({ target: { host: hostname, port: Number(port) }, protocol: 'postgres' })
  onTestFinished(() => proxy.close())
  let statements = 0
  proxy.intercept({
    matches: ({ kind }) => {
      if (kind === 'execute' || kind === 'query') statements += 1
      return false
    },
    at: 'request',
  })
  const replica: Replica = await shop.replica(by, { databaseUrl: proxy.through(shop.databaseUrl) })
  /** What came of some work, and how many statements that took. */
  const costOf = async <T>(work: () => Promise<T>) => {
    statements = 0
    return { result: await work(), statements }
  }
  return { replica, costOf }
}
