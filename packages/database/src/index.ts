export { assertMigrated } from './assert-migrated.ts'
export { assertPoolerFits, PoolerRefused } from './assert-pooler-fits.ts'
export { lockTimeoutMs } from './connection.ts'
export { createDatabase, type Database, type DatabaseOptions } from './database.ts'
export {
  CommitUnknown,
  DatabaseUnavailable,
  GuardFailed,
  LockNotAvailable,
  TransactionConflict,
  UniqueViolation,
} from './database-error.ts'
export { describeSchema } from './describe-schema.ts'
export { findAccountByKeyHash } from './find-account-by-key-hash.ts'
export type {
  Booking,
  Dispute,
  Hold,
  Invoice,
  Order,
  Orphan,
  Payment,
  PaymentEvent,
  ReconciliationFinding,
  ReconciliationRun,
  Refund,
  Subscription,
} from './generated/client.ts'
export { MigrationRefused, migrate, migrationsDirectory } from './migrate.ts'
export {
  type Durability,
  type DurabilityRisk,
  durabilityRisks,
  readDurability,
  unreadableDurability,
} from './read-durability.ts'
export { developmentAccounts, seedDevelopment } from './seed-development.ts'
export { empty, join, Sql, type SqlValue, type Statement, sql } from './sql.ts'
export type { RollBack, Tx } from './transaction.ts'
export { waitForDatabase } from './wait-for-database.ts'
