import type { RunProgress } from '../auditor/create-auditor.ts'
import type { Disturbance } from '../auditor/disturbance.ts'
import type { InvariantId } from '../auditor/invariant.ts'
import type { RunVerdict } from '../auditor/judge-run.ts'

const lookTimeoutMs = 5_000
/** The auditor waits for a minute and a half, then reads; at most. */
const verdictTimeoutMs = 150_000

/** How far a run has come by what its clients have handed in; null before the first of them has. */
export async function readProgress(auditorUrl: string, run: string): Promise<RunProgress | null> {
  const response = await fetch(runUrl(auditorUrl, run), { signal: AbortSignal.timeout(lookTimeoutMs) })
  if (response.status === 404) return null
  if (!response.ok) throw new Error(`the auditor answered ${response.status}`)
  return (await response.json()) as RunProgress
}

/** Tells the auditor what was done to the system, so that it can say what a second copy of a message came from. */
export async function declareDisturbance(auditorUrl: string, run: string, disturbance: Disturbance): Promise<void> {
  const response = await fetch(`${runUrl(auditorUrl, run)}/disturbances`, {
    ...json(disturbance),
    signal: AbortSignal.timeout(lookTimeoutMs),
  })
  if (!response.ok) throw new Error(`the auditor answered ${response.status} to what was done`)
}

/** Waits for quiescence and asks for the verdict. Null: there is none, and why was said to `explain`. */
export async function askForVerdict(
  auditorUrl: string,
  run: string,
  expects: readonly InvariantId[],
  signal: AbortSignal,
  explain: (why: string) => void,
): Promise<RunVerdict | null> {
  try {
    const response = await fetch(`${runUrl(auditorUrl, run)}/verdict`, {
      ...json({ expects }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(verdictTimeoutMs)]),
    })
    if (response.ok) return (await response.json()) as RunVerdict
    explain(`the auditor answered ${response.status}: ${await response.text()}`)
  } catch (error) {
    signal.throwIfAborted()
    explain(`the auditor could not be asked: ${error instanceof Error ? error.message : error}`)
  }
  return null
}

function json(body: object) {
  return { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
}

function runUrl(auditorUrl: string, run: string): string {
  return `${auditorUrl}/runs/${encodeURIComponent(run)}`
}
