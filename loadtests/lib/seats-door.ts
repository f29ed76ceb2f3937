import http from 'k6/http'
import { environment } from './environment.ts'
import { losersInDatabaseShare } from './metrics.ts'

/** Holds that were refused, by the replicas' own counters, all together. */
export interface Refusals {
  readonly all: number
  /** Without PostgreSQL. */
  readonly atDoor: number
}

const refusedAtDoor = /^seat_hint_refusals_total(?:\{[^}]*\})? (\d+)$/gm
const answeredHolds = /^http_request_duration_seconds_count\{([^}]*\/holds"[^}]*)\} (\d+)$/gm

/** @throws if a replica does not tell. */
export function readRefusals(): Refusals {
  const told = environment.bookingMetrics.map(readMetrics)
  return {
    all: sum(
      told.flatMap((text) =>
        [...text.matchAll(answeredHolds)].map(([, labels = '', number]) => (isConflict(labels) ? Number(number) : 0)),
      ),
    ),
    atDoor: sum(told.flatMap((text) => [...text.matchAll(refusedAtDoor)].map(([, number]) => Number(number)))),
  }
}

/** Notes how many of those who were refused since then PostgreSQL had to be asked about. Returns it. */
export function noteLosersInDatabase(before: Refusals): number {
  const now = readRefusals()
  const losers = now.all - before.all
  const inDatabase = losers - (now.atDoor - before.atDoor)
  if (losers > 0) losersInDatabaseShare.add(inDatabase / losers)
  return inDatabase
}

function isConflict(labels: string): boolean {
  return labels.includes('method="POST"') && labels.includes('status="409"')
}

function readMetrics(replica: string): string {
  const answer = http.get(`${replica}/metrics`, { timeout: '10s', tags: { name: 'metrics' } })
  if (answer.status !== 200) throw new Error(`${replica} does not tell its metrics: ${answer.status}`)
  return String(answer.body)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
