import type { Servers } from '../../src/explore/run-item.ts'

/** The tests' servers. Scenarios flush their Redis database, so that each test file has a number of its own. */
export function exploreServers(redisDatabase: number): Servers {
  const { TEST_DATABASE_URL: maintenanceUrl = '', TEST_REDIS_URL: redis = '' } = process.env
  const redisUrl = new URL(redis)
  redisUrl.pathname = `/${redisDatabase}`
  return { maintenanceUrl, redisUrl: redisUrl.href }
}
