import { isCurrency } from '@seatbelt/domain'
import { z } from 'zod'
import { type Answer, invalidRequest } from './answer.ts'

/**
 * Parameters come as forms: every value is text. What is not known here is refused as Stripe refuses an unknown
 * parameter, so that nobody relies on something that the simulator silently leaves out.
 */
export type Parsed<P> = { readonly ok: true; readonly parameters: P } | { readonly ok: false; readonly refusal: Answer }

export function parseParameters<P>(schema: z.ZodType<P>, raw: unknown): Parsed<P> {
  const result = schema.safeParse(raw)
  if (result.success) return { ok: true, parameters: result.data }
  return { ok: false, refusal: refusalFor(result.error.issues[0], raw) }
}

function refusalFor(issue: z.core.$ZodIssue | undefined, raw: unknown): Answer {
  if (!issue) return invalidRequest('Invalid request.')
  if (issue.code === 'unrecognized_keys') {
    const param = inBrackets([...issue.path, issue.keys[0] ?? ''])
    return invalidRequest(`Received unknown parameter: ${param}`, { code: 'parameter_unknown', param })
  }
  const param = inBrackets(issue.path)
  if (valueAt(raw, issue.path) === undefined) {
    return invalidRequest(`Missing required param: ${param}.`, { code: 'parameter_missing', param })
  }
  const code: unknown = issue.code === 'custom' ? issue.params?.stripeCode : undefined
  return invalidRequest(issue.message, { ...(typeof code === 'string' && { code }), param })
}

function inBrackets([first, ...rest]: readonly PropertyKey[]): string {
  return `${String(first ?? '')}${rest.map((name) => `[${String(name)}]`).join('')}`
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, name) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[name] : undefined,
    raw,
  )
}

export const amountParameter = z.string().transform((text, context) => {
  const amount = Number(text)
  const problem = !/^-?\d+$/.test(text)
    ? { message: `Invalid integer: ${text}`, stripeCode: 'parameter_invalid_integer' }
    : amount < 1
      ? { message: 'This value must be greater than or equal to 1.', stripeCode: 'parameter_invalid_integer' }
      : null
  if (!problem) return amount
  context.addIssue({ code: 'custom', message: problem.message, params: { stripeCode: problem.stripeCode } })
  return z.NEVER
})

/** Upper case inside. */
export const currencyParameter = z.string().transform((text, context) => {
  const currency = text.toUpperCase()
  if (isCurrency(currency)) return currency
  context.addIssue({ code: 'custom', message: `Invalid currency: ${text}.` })
  return z.NEVER
})

export const captureMethodParameter = z.enum(['automatic', 'automatic_async', 'manual'])

export const booleanParameter = z.enum(['true', 'false']).transform((text) => text === 'true')

/** Of an object of ours: whether there is one is the endpoint's business. */
export const idParameter = z.string().min(1).max(255)

/** Text about somebody, which comes back as it was given. */
export const textParameter = z.string().max(500)

/** Stripe's limits: 50 names of 40 characters, values of 500. An empty value means none. */
export const metadataParameter = z
  .record(z.string().max(40), z.string().max(500))
  .refine((metadata) => Object.keys(metadata).length <= 50, { error: 'Metadata can have up to 50 keys.' })
  .transform((metadata) => Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== '')))

/** What can be expanded in an intent. */
export const expandParameter = z.array(z.literal('latest_charge'))
