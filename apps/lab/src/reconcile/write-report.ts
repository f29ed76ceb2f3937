import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ReconciliationReport } from '@seatbelt/worker'

import { renderPage } from './render-page.ts'

/** Writes reconciliation.json and reconciliation.html, each as a whole or not at all. Returns the path of the page. */
export function writeReport(folder: string, report: ReconciliationReport): string {
  writeWhole(join(folder, 'reconciliation.json'), `${JSON.stringify(report, null, 2)}\n`)
  const page = join(folder, 'reconciliation.html')
  writeWhole(page, renderPage(report))
  return page
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
