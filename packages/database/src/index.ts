export { type AssertMigratedOptions, assertMigrated } from './assert-migrated.ts'
export {
  afterCommit,
  createDatabase,
  type Database,
  type DatabaseOptions,
  lockTimeoutMs,
  type RollBack,
  type Tx,
} from './database.ts'
export {
  CommitUnknown,
  DatabaseUnavailable,
  LockNotAvailable,
  TransactionConflict,
  UniqueViolation,
} from './database-error.ts'
export { describeSchema } from './describe-schema.ts'
export { findAccountByKeyHash } from './find-account-by-key-hash.ts'
export type {
  Booking,
  Event,
  Hold,
  IdempotencyKey,
  Invoice,
  Order,
  OutboxMessage,
  Payment,
  PaymentEvent,
  ReconciliationFinding,
  ReconciliationRun,
  Refund,
  Subscription,
} from './generated/client.ts'
export { Prisma } from './generated/client.ts'
export { MigrationRefused, migrate, migrationsDirectory } from './migrate.ts'
export { developmentAccounts, developmentKeyPrefix, seedDevelopment } from './seed-development.ts'
export { waitForDatabase } from './wait-for-database.ts'
