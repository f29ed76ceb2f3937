import { readdirSync, readFileSync } from 'node:fs'
import type { Supervisor } from './supervisor.ts'

export interface PeakMemory {
  readonly process: string
  /** In MB of 1,000,000 bytes; null: this system does not tell. */
  readonly peakMb: number | null
}

/** A peak between two looks is still seen where the kernel keeps it (our own programs); PostgreSQL's is a sum over processes. */
const sampleEveryMs = 2_000

/**
 * Watches the most memory that each process of a supervisor used, over all its restarts. Linux only; elsewhere null.
 *
 * A program's own peak is the kernel's (VmHWM). PostgreSQL is many processes which share most of their memory, so that it is the
 * greatest sum of their proportional shares (Pss) at a sample.
 */
export function watchPeakMemory(supervisor: Supervisor): { read(): PeakMemory[]; stop(): void } {
  const peaks = new Map<string, number>()
  const sample = () => {
    for (const name of supervisor.names) {
      const pid = supervisor.pid(name)
      const mb = pid === null ? null : measureMb(pid)
      if (mb !== null) peaks.set(name, Math.max(mb, peaks.get(name) ?? 0))
    }
  }
  const timer = process.platform === 'linux' ? setInterval(sample, sampleEveryMs).unref() : undefined
  return {
    read() {
      sample()
      return supervisor.names.map((name) => ({ process: name, peakMb: round(peaks.get(name)) }))
    },
    stop: () => clearInterval(timer),
  }
}

/** The most memory that one process ever used, in MB, by the kernel's own word. Null: it is gone, or this is not Linux. */
export function readPeakMb(pid: number): number | null {
  return round(readKilobytes(`/proc/${pid}/status`, 'VmHWM') ?? undefined)
}

function round(mb: number | undefined): number | null {
  return mb === undefined ? null : Math.round(mb)
}

function measureMb(pid: number): number | null {
  const children = childrenOf(pid)
  if (children.length === 0) return readKilobytes(`/proc/${pid}/status`, 'VmHWM')
  const shares = [pid, ...children].map((member) => readKilobytes(`/proc/${member}/smaps_rollup`, 'Pss') ?? 0)
  const sum = shares.reduce((total, share) => total + share, 0)
  return sum === 0 ? null : sum
}

function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    const lists = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'))
    return lists.flatMap((list) =>
      list
        .split(' ')
        .filter((text) => text.trim() !== '')
        .map(Number),
    )
  } catch {
    return []
  }
}

/** Of a line such as `VmHWM:   12345 kB`, in MB. */
function readKilobytes(path: string, field: string): number | null {
  try {
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'))?.[1]
    return kilobytes === undefined ? null : (Number(kilobytes) * 1_024) / 1_000_000
  } catch {
    return null
  }
}
