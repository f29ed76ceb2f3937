export { type RecoveryOptions, runRecovery } from './run-recovery.ts'
