export * from './reconcile/reconciliation-report.ts'
export { type RecoveryOptions, runRecovery } from './run-recovery.ts'
