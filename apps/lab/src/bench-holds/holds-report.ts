import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Verdict } from '../auditor/invariant.ts'
import { createRatio, type Machine, type Ratio } from '../bench-locks/locks-report.ts'
import { rounded } from '../bench-locks/statistics.ts'

/** `.seatbelt/reports/holds.json`. Fields are added, never renamed. A figure that was not measured is null, never 0. */
export interface HoldsReport {
  readonly verdict: Verdict
  /** Why the verdict is not `valid`; empty where it is. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  /** A quick run only shows that the benchmark works. */
  readonly quick: boolean
  readonly machine: Machine
  readonly ratios: readonly Ratio[]
  readonly series: readonly HoldSeries[]
}

export const holdKinds = ['seats', 'adjacent', 'places'] as const

export type HoldKind = (typeof holdKinds)[number]

/** One kind of hold at events of one size, half of which is held already. */
export interface HoldSeries {
  readonly kind: HoldKind
  readonly eventSeats: number
  readonly inFlight: number
  readonly holds: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** Flat, as far as two busy cores can tell one from the other. */
const flat = 1.25

const titles: Readonly<Record<HoldKind, string>> = {
  seats: 'a hold of two seats',
  adjacent: 'a hold of the best two side by side',
  places: 'a hold of two places',
}

/** How much longer the median hold takes at the largest event than at the smallest. */
export function flatness(
  series: readonly HoldSeries[],
  [smallest, ...others]: readonly [number, ...number[]],
): Ratio[] {
  const largest = others.at(-1) ?? smallest
  const medianOf = (kind: HoldKind, seats: number) =>
    series.find((one) => one.kind === kind && one.eventSeats === seats)?.p50Ms ?? null
  return holdKinds.map((kind) => {
    const [small, large] = [medianOf(kind, smallest), medianOf(kind, largest)]
    const what = `${titles[kind]}, median at ${largest} seats to median at ${smallest}`
    const value = small === null || large === null ? null : rounded(large / small)
    return createRatio({ name: `hold-${kind}-as-the-event-grows`, what, goal: flat, goalIs: 'at most' }, value)
  })
}

/** Writes holds.json, or holds-quick.json, as a whole or not at all. Returns its path. */
export function writeHoldsReport(root: string, report: HoldsReport): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${report.quick ? 'holds-quick' : 'holds'}.json`)
  writeFileSync(`${path}.new`, `${JSON.stringify(report, null, 2)}\n`)
  renameSync(`${path}.new`, path)
  return path
}
