import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ReconciliationReport, unknownReport } from '@seatbelt/worker'

import { runTool } from '../../../../scripts/run-tool.mjs'
import { writeReport } from '../reconcile/write-report.ts'
import { environmentOfOperator } from '../stack/environment-of-operator.ts'
import { operatorArguments } from './review.ts'

export interface ReconcileOptions {
  readonly root: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
  /** Puts right what a program may; otherwise nothing is changed. */
  readonly act?: boolean
  /** The person who acts, and why. */
  readonly as?: string | undefined
  readonly reason?: string | undefined
  readonly from?: string
  readonly to?: string
  /** Prints the report itself. */
  readonly json?: boolean
}

/**
 * Holds the gateway's lists against our books, and writes the report that a person reads, unless it could not begin.
 * Its exit code is the program's (apps/worker/src/reconcile): 0: nothing differs. 1: differences stand. 2: it is not
 * known.
 */
export async function reconcile(options: ReconcileOptions): Promise<number> {
  const { root, say, json } = options
  const environment = environmentOfOperator(root)
  if (environment === null) {
    say('No stack is running here (npm start keeps one). For another one, set what its worker reads: DATABASE_URL, ...')
    return 2
  }
  const startedAt = new Date()
  const { exitCode, report } = await runProgram(options, environment)
  const refusal = report !== null && report.run === null ? report.reasons.join('; ') : null
  const told =
    refusal === null ? `The whole report: ${keep(root, report, startedAt)}` : `No report was written: ${refusal}.`
  if (json !== true) say(told)
  return exitCode ?? 2
}

/**
 * Its report has a place of its own: two may be at it at once, and only one of them has the run. Null: it did not come
 * so far.
 */
async function runProgram(options: ReconcileOptions, environment: Record<string, string>) {
  const { root, signal } = options
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-reconcile-'))
  try {
    const written = join(folder, 'report.json')
    const program = join(root, 'apps/worker/dist/reconcile.js')
    const args = ['--enable-source-maps', program, '--report', written, ...asArguments(options)]
    const { exitCode } = await runTool(process.execPath, args, { folder: root, log: null, environment, signal })
    return { exitCode, report: readReport(written) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * What was refused before it began compared nothing, and must not replace the report of what did. Returns the page's
 * path.
 */
function keep(root: string, report: ReconciliationReport | null, startedAt: Date): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  return writeReport(folder, report ?? unknownReport('the comparison broke off: see what it said', startedAt))
}

function asArguments({ act, from, to, json, as: name, reason }: ReconcileOptions): string[] {
  return [
    ...operatorArguments({ as: name, reason }),
    ...(act === true ? ['--act'] : []),
    ...(from === undefined ? [] : ['--from', from]),
    ...(to === undefined ? [] : ['--to', to]),
    ...(json === true ? ['--json'] : []),
  ]
}

function readReport(path: string): ReconciliationReport | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ReconciliationReport
  } catch {
    return null
  }
}
