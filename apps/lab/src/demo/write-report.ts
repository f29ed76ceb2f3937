import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DemoReport } from './demo-report.ts'
import { renderPage } from './render-page.ts'

/** Writes demo.json and demo.html, each as a whole or not at all. Returns the path of the page. */
export function writeReport(root: string, report: DemoReport): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  writeWhole(join(folder, 'demo.json'), `${JSON.stringify(report, null, 2)}\n`)
  writeWhole(join(folder, 'demo.html'), renderPage(report))
  return join(folder, 'demo.html')
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
