import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadReport } from './load-report.ts'

/** Writes load-NAME.json, or load-NAME-control.json, as a whole or not at all. Returns its path. */
export function writeLoadReport(root: string, report: LoadReport): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `load-${report.name}${report.control ? '-control' : ''}.json`)
  writeFileSync(`${path}.new`, `${JSON.stringify(report, null, 2)}\n`)
  renameSync(`${path}.new`, path)
  return path
}
