import { parseArgs } from 'node:util'
import type { Operator, RunRequest } from '@seatbelt/payments'
import { operatorOptions, readOperator } from '../operator-arguments.ts'

export interface Arguments {
  readonly request: RunRequest
  /** Who acts. Null: the run only reports. */
  readonly operator: Operator | null
  /** Print the report and not what it says. */
  readonly asJson: boolean
  /** Where the report is written to; null: nowhere. */
  readonly reportPath: string | null
}

/** Fails with an Error that says what was wrong. */
export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...operatorOptions,
      act: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      from: { type: 'string' },
      to: { type: 'string' },
      report: { type: 'string' },
    },
  })
  const request = {
    mode: values.act ? 'act' : 'report',
    from: readTime('from', values.from),
    to: readTime('to', values.to),
  }
  const operator = values.act ? readOperator(values) : null
  return { request: request as RunRequest, operator, asJson: values.json, reportPath: values.report ?? null }
}

const isoTime = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** A day (from its beginning in UTC) or a time with its zone: what else `Date` takes means something else on each machine. */
function readTime(name: string, text: string | undefined): Date | null {
  if (text === undefined) return null
  const time = new Date(text)
  if (isoTime.test(text) && !Number.isNaN(time.getTime())) return time
  throw new Error(`--${name} must be a day or a time such as 2026-11-20 or 2026-11-20T08:00:00Z, not "${text}".`)
}
