export { eventually, patienceMs, unhurried } from './eventually.ts'
export type { Direction } from './flow.ts'
export { freePort } from './free-port.ts'
export { type FreshDatabase, type FreshDatabaseOptions, freshDatabase } from './fresh-database.ts'
export { findHaProxy, type HaProxy, startHaProxy } from './haproxy.ts'
export { type Inspector, openInspector } from './inspector.ts'
export type { Interception, InterceptionRule } from './interception.ts'
export { createLatch, type Latch } from './latch.ts'
export { type LeakCheck, startLeakCheck } from './leak-check.ts'
export { findPgBouncer, type PgBouncer, startPgBouncer } from './pgbouncer.ts'
export { race, raceCopies, valuesOf } from './race.ts'
export { type RedisServer, startRedisServer } from './redis-server.ts'
export { type Replacement, startTcpProxy, type TcpProxy, type TcpProxyOptions } from './tcp-proxy.ts'
export {
  databaseOfVersionBefore,
  type HoldBefore,
  type PaymentBefore,
  type RefundBefore,
  type VersionBefore,
  type VersionBeforeOptions,
} from './version-before.ts'
export {
  createAnswerFramer,
  createFramer,
  type FramedMessage,
  type Protocol,
  postgresQuery,
  postgresWarning,
  type WireMessage,
} from './wire-messages.ts'
