export { eventually } from './eventually.ts'
export { freePort } from './free-port.ts'
export { type FreshDatabase, type FreshDatabaseOptions, freshDatabase } from './fresh-database.ts'
export { createLatch, type Latch } from './latch.ts'
export { type LeakCheck, startLeakCheck } from './leak-check.ts'
export { race, raceCopies, valuesOf } from './race.ts'
export { type RedisServer, startRedisServer } from './redis-server.ts'
export {
  type Direction,
  type Interception,
  type InterceptionRule,
  startTcpProxy,
  type TcpProxy,
  type TcpProxyOptions,
} from './tcp-proxy.ts'
export type { Protocol, WireMessage } from './wire-messages.ts'
