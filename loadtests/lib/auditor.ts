import { sleep } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'
import type { Attempt } from './attempts.ts'
import { environment } from './environment.ts'
import { type LoadName, loads } from './loads.ts'
import { auditInvariantsJudged, auditInvariantsUnknown, auditViolations, overlappingPairs } from './metrics.ts'

const runUrl = `${environment.auditorUrl}/runs/${encodeURIComponent(environment.run)}`
const json = { 'Content-Type': 'application/json' }

/** A batch that could not be delivered three times in a row means that the auditor is gone. */
const postTries = 3
const postPauseSeconds = 0.2

let batches = 0

/** Delivers one batch. The auditor knows a repeated one by its number, and a missing one too. @throws after the last try. */
export function postAttempts(attempts: readonly Attempt[]): void {
  batches += 1
  const body = JSON.stringify({ sender: `vu-${exec.vu.idInTest}`, number: batches, attempts })
  for (let tried = 1; ; tried += 1) {
    const response = http.post(`${runUrl}/attempts`, body, { headers: json, timeout: '10s' })
    if (response.status === 202) return
    if (tried === postTries)
      throw new Error(`the auditor did not take the attempts: ${response.status} ${response.error}`)
    sleep(postPauseSeconds)
  }
}

/**
 * Waits at the auditor until all clients of one meeting are there: separate virtual users then start together, which
 * without it would be left to chance. It goes on alone after the auditor's bound; the overlap that matters is measured.
 */
export function meet(name: string, clients: number): void {
  http.post(`${runUrl}/meetings/${encodeURIComponent(name)}`, JSON.stringify({ clients }), {
    headers: json,
    timeout: '15s',
  })
}

interface Verdict {
  readonly verdict: string
  readonly reason: string | null
  readonly invariants: readonly { id: string; verdict: string; checked: number; violations: number }[]
  readonly figures: { overlappingPairs: number } | null
}

/**
 * Asks for the auditor's verdict and counts it, in teardown, because thresholds are evaluated once more after it.
 * What is missing is counted as an unknown invariant, so that no threshold holds without a verdict.
 */
export function countVerdict(load: LoadName): void {
  const response = http.post(`${runUrl}/verdict`, JSON.stringify({ expects: loads[load].expects }), {
    headers: json,
    timeout: '150s',
  })
  if (response.status !== 200) {
    console.error(`the auditor gave no verdict: ${response.status} ${response.error}`)
    auditInvariantsUnknown.add(1)
    return
  }
  const verdict = response.json() as unknown as Verdict
  console.log(`auditor: ${verdict.verdict}${verdict.reason === null ? '' : ` (${verdict.reason})`}`)
  // It can be unknown although each invariant came to a verdict: where attempts are missing, of an auditor that was restarted.
  if (verdict.verdict === 'unknown' || verdict.invariants.length === 0) auditInvariantsUnknown.add(1)
  for (const invariant of verdict.invariants) {
    if (invariant.verdict === 'unknown') auditInvariantsUnknown.add(1)
    // What had nothing to look at, as this load had said, is neither.
    else if (invariant.verdict !== 'not-applicable') auditInvariantsJudged.add(1)
    auditViolations.add(invariant.violations)
  }
  overlappingPairs.add(verdict.figures?.overlappingPairs ?? 0)
}
