import { cpus, loadavg, release, totalmem, type } from 'node:os'
import process from 'node:process'
import type { Machine } from './locks-report.ts'

/** Where it was measured, without what the servers say of themselves. */
export function readMachine(): Omit<Machine, 'postgres' | 'redis'> {
  const cores = cpus()
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryMb: Math.round(totalmem() / 1024 / 1024),
    system: `${type()} ${release()} ${process.arch}`,
    node: process.versions.node,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}
