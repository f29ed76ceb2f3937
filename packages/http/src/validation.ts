import type { z } from 'zod'
import type { Answer } from './answer.ts'
import { problem } from './problem.ts'

export interface FieldError {
  /** Names joined by dots, such as `amountMinor`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** A body of the allowed size can be wrong in thousands of places; nobody reads more than a few. */
const maxReportedErrors = 20

/** The value as its schema has it, or a 400 that names every field that does not fit. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): { value: z.output<Schema> } | Answer {
  const result = schema.safeParse(value)
  if (result.success) return { value: result.data }
  const errors = result.error.issues.flatMap((issue) => fieldErrors(issue, value)).slice(0, maxReportedErrors)
  const summary = errors.map((error) => `${error.path || 'the whole'}: ${error.message}`).join('; ')
  return problem('invalid-request', summary, { members: { errors } })
}

function fieldErrors(issue: z.core.$ZodIssue, value: unknown): FieldError[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'is not known here' }))
  }
  const missing = issue.code === 'invalid_type' && valueAt(value, issue.path) === undefined
  return [{ path: path.join('.'), message: missing ? 'is required' : issue.message }]
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, name) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, name) : undefined),
    value,
  )
}
