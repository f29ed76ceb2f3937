import { readFileSync } from 'node:fs'
import process from 'node:process'
import type { CpuMs, WatchedProcesses } from './slice.ts'

/** The unit of /proc/PID/stat. It is 100 a second on every Linux that Node runs on. */
const msPerTick = 10

/** CPU time so far, by process. Null where the system has no /proc, or where the process is not ours. */
export function readCpuMs({ api, postgres, redis, simulator }: WatchedProcesses): CpuMs {
  const { user, system } = process.cpuUsage()
  return {
    api: sum(api.map((pid) => ticksOf(pid))),
    postgres: postgres === null ? null : ticksOfFamily(postgres),
    redis: redis === null ? null : ticksOf(redis),
    simulator: simulator === null ? null : ticksOf(simulator),
    client: (user + system) / 1_000,
  }
}

/** CPU time that the machine has spent so far, all cores and programs together. */
export function readMachineCpuMs(): number | null {
  const [, ...fields] = (readText('/proc/stat')?.split('\n')[0] ?? '').trim().split(/\s+/)
  if (fields.length < 8) return null
  const [user, nice, system, , , irq, softirq, steal] = fields.map(Number)
  return msPerTick * [user, nice, system, irq, softirq, steal].reduce((total: number, ticks) => total + (ticks ?? 0), 0)
}

export function cpuBetween(before: CpuMs, after: CpuMs): CpuMs {
  const difference = (name: keyof CpuMs) => {
    const [from, to] = [before[name], after[name]]
    return from === null || to === null ? null : to - from
  }
  return {
    api: difference('api'),
    postgres: difference('postgres'),
    redis: difference('redis'),
    simulator: difference('simulator'),
    client: difference('client'),
  }
}

/** A process, its living children, and those of its children that have ended: no CPU time is lost with a connection. */
function ticksOfFamily(pid: number): number | null {
  const parent = readStat(pid)
  if (parent === null) return null
  const ended = Number(parent[13]) + Number(parent[14])
  const living = childrenOf(pid).map((child) => ticksOf(child) ?? 0)
  return (ticksOf(pid) ?? 0) + ended * msPerTick + living.reduce((total, ticks) => total + ticks, 0)
}

function ticksOf(pid: number): number | null {
  const stat = readStat(pid)
  return stat === null ? null : (Number(stat[11]) + Number(stat[12])) * msPerTick
}

/** The fields of /proc/PID/stat from the state on. The name before it may itself hold blanks and parentheses. */
function readStat(pid: number): string[] | null {
  const text = readText(`/proc/${pid}/stat`)
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function childrenOf(pid: number): number[] {
  const list = readText(`/proc/${pid}/task/${pid}/children`) ?? ''
  return list.split(' ').filter(Boolean).map(Number)
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function sum(values: readonly (number | null)[]): number | null {
  return values.reduce((total, value) => (total === null || value === null ? null : total + value), 0)
}
