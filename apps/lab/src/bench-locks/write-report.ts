import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LocksReport } from './locks-report.ts'
import { renderPage } from './render-page.ts'

/** Writes NAME.json and NAME.html, each as a whole or not at all. Returns the path of the page. */
export function writeReport(root: string, name: 'locks' | 'locks-quick', report: LocksReport): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  writeWhole(join(folder, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`)
  writeWhole(join(folder, `${name}.html`), renderPage(report))
  return join(folder, `${name}.html`)
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
