import { escapeHtml } from '@seatbelt/lab/report-html.ts'
import { systems } from '../systems/systems.ts'
import type { Subject } from './bench-report.ts'

/** Sizes of all charts, in units of their view box. Charts of one width stand beside each other. */
export const chartWidth = 370
export const labelWidth = 122
/** For the figure behind a bar. */
export const valueWidth = 104
export const barsWidth = chartWidth - labelWidth - valueWidth
export const rowHeight = 26
export const barHeight = 14

/** One row per system. `rows` is the inside of the chart, in its own coordinates. */
export function frame(title: string, rowCount: number, rows: string): string {
  const height = rowCount * rowHeight + 4
  return `<svg viewBox="0 0 ${chartWidth} ${height}" role="img" aria-label="${escapeHtml(title)}">${rows}</svg>`
}

export function rowTop(index: number): number {
  return index * rowHeight + 4
}

export function rowLabel(text: string, index: number, kind: string): string {
  const y = rowTop(index) + barHeight - 3
  return `<text class="label ${kind}" x="${labelWidth - 8}" y="${y}" text-anchor="end">${escapeHtml(text)}</text>`
}

export function rowValue(text: string, x: number, index: number): string {
  return `<text class="value" x="${round(x + 6)}" y="${rowTop(index) + barHeight - 3}">${escapeHtml(text)}</text>`
}

export interface Bar {
  readonly x: number
  readonly width: number
  readonly index: number
  readonly className: string
  readonly title: string
}

export function bar({ x, width, index, className, title }: Bar): string {
  return (
    `<rect class="${className}" x="${round(x)}" y="${rowTop(index)}" width="${round(Math.max(width, 1))}"` +
    ` height="${barHeight}" rx="2"><title>${escapeHtml(title)}</title></rect>`
  )
}

export function kindOf(system: Subject): string {
  return system === 'gateway' ? 'yardstick' : systems[system].kind
}

/** Three digits say all that a noisy machine can tell. */
export function short(value: number | null): string {
  if (value === null) return '-'
  return value >= 100
    ? Math.round(value).toLocaleString('en-US')
    : value.toLocaleString('en-US', { maximumSignificantDigits: value < 1 ? 2 : 3 })
}

export function round(value: number): number {
  return Math.round(value * 10) / 10
}
