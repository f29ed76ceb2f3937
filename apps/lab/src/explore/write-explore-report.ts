import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExploreRunReport } from './explore-report.ts'
import { renderExplorePage } from './page/render-explore-page.ts'

/** Writes explore.json and explore.html, or explore-quick.*, each as a whole or not at all. Returns the page's path. */
export function writeExploreReport(root: string, report: ExploreRunReport): string {
  const folder = join(root, '.seatbelt/reports')
  const name = report.quick ? 'explore-quick' : 'explore'
  mkdirSync(folder, { recursive: true })
  // Without indentation: the recorded games are large.
  writeWhole(join(folder, `${name}.json`), `${JSON.stringify(report)}\n`)
  writeWhole(join(folder, `${name}.html`), renderExplorePage(report))
  return join(folder, `${name}.html`)
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
