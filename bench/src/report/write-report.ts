import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchReport } from './bench-report.ts'
import { renderPage } from './render-page.ts'

/** Writes NAME.json and NAME.html, each as a whole or not at all. Returns the path of the page. */
export function writeReport(root: string, report: BenchReport): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  const name = nameOf(report)
  writeWhole(join(folder, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`)
  writeWhole(join(folder, `${name}.html`), renderPage(report))
  return join(folder, `${name}.html`)
}

/** A smaller run does not replace the report of a full one. */
function nameOf({ quick, only }: BenchReport): string {
  return ['bench', ...(only === null ? [] : [only]), ...(quick ? ['quick'] : [])].join('-')
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
