import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeStripeEndpoints, type EndpointDescription } from '@seatbelt/gateway'
import type { Verdict } from '../auditor/invariant.ts'
import type { RequestOutcome } from './gateway-requests.ts'
import { nameOf, statusesOf } from './simulator-answers.ts'
import type { Exchange } from './simulator-client.ts'
import type { StripeDescription } from './stripe-description.ts'

/** `.seatbelt/reports/conformance.json`. Fields are added, never renamed. What was not compared is missing or null. */
export interface ConformanceReport {
  readonly verdict: Verdict
  /** Why the verdict is not `valid`; empty where it is. */
  readonly reasons: readonly string[]
  readonly startedAt: string
  readonly durationSeconds: number
  readonly stripeMockVersion: string
  /** Of the description that all is compared with. Null: it was not read. */
  readonly apiVersion: string | null
  /** Our gateway's requests to stripe-mock. */
  readonly requests: readonly RequestOutcome[]
  /** The simulator's answers against the description, by endpoint and status. */
  readonly answers: readonly AnswerKind[]
  /** The parameters that Stripe takes and the simulator refuses, by endpoint. Its README lists them. */
  readonly refused: readonly RefusedParameters[]
}

export interface AnswerKind {
  readonly endpoint: string
  readonly status: number
  readonly count: number
  readonly violations: readonly string[]
}

export interface RefusedParameters {
  readonly endpoint: string
  readonly parameters: readonly string[]
}

export interface Found {
  readonly requests?: readonly RequestOutcome[]
  readonly description?: StripeDescription
  readonly answers?: readonly AnswerKind[]
  readonly refused?: readonly RefusedParameters[]
  /** The simulator's README. */
  readonly readme?: string
  readonly brokenOffBecause: string | null
}

/** Holds each answer against the description, and sums up by endpoint and status. */
export function judgeAnswers(description: StripeDescription, exchanges: readonly Exchange[]): readonly AnswerKind[] {
  const kinds = new Map<string, { endpoint: string; status: number; count: number; violations: Set<string> }>()
  for (const { method, path, status, body } of exchanges) {
    const endpoint = nameOf({ method, path })
    const name = `${endpoint} ${status}`
    const kind = kinds.get(name) ?? { endpoint, status, count: 0, violations: new Set<string>() }
    kinds.set(name, kind)
    kind.count += 1
    for (const violation of description.violationsIn(method, path, status, body)) kind.violations.add(violation)
    for (const subject of subjectsIn(body))
      for (const violation of description.violationsInObject(subject)) kind.violations.add(`its subject: ${violation}`)
  }
  return [...kinds.values()].map(({ violations, ...kind }) => ({ ...kind, violations: [...violations] }))
}

interface StripeObject {
  readonly object: string
}

interface StripeEvent extends StripeObject {
  readonly data: { readonly object: StripeObject }
}

/** The objects that events are about: the description leaves their form open. */
function subjectsIn(body: unknown): readonly StripeObject[] {
  const { object, data } = body as { object?: string; data?: unknown }
  if (object === 'event') return [(body as StripeEvent).data.object]
  return object === 'list' && Array.isArray(data) ? data.flatMap(subjectsIn) : []
}

export function refusedParameters(description: StripeDescription): readonly RefusedParameters[] {
  const all = describeStripeEndpoints().map((endpoint) => {
    const known = new Set(endpoint.parameters)
    const parameters = description.parametersOf(endpoint.method, endpoint.path).filter((name) => !known.has(name))
    return { endpoint: nameOf(endpoint), parameters }
  })
  return all.filter(({ parameters }) => parameters.length > 0)
}

/** A row of the table in the simulator's README. */
export function readmeRow({ endpoint, parameters }: RefusedParameters): string {
  return `| \`${endpoint}\` | ${parameters.map((name) => `\`${name}\``).join(', ')} |`
}

export function buildConformanceReport(
  startedAt: Date,
  stripeMockVersion: string,
  { requests = [], description, answers = [], refused = [], readme = '', brokenOffBecause }: Found,
): ConformanceReport {
  const wrong = [
    ...requests.filter(({ isAccepted }) => !isAccepted).map(({ request, answer }) => `${request}: ${answer}`),
    ...answers.flatMap(({ endpoint, status, violations }) =>
      violations.map((violation) => `${endpoint} ${status}: ${violation}`),
    ),
    ...refused
      .filter((parameters) => !readme.includes(readmeRow(parameters)))
      .map((parameters) => `the simulator's README lacks the line: ${readmeRow(parameters)}`),
  ]
  const unknown = brokenOffBecause === null ? missingAnswers(answers) : [brokenOffBecause]
  return {
    verdict: wrong.length > 0 ? 'invalid' : unknown.length > 0 ? 'unknown' : 'valid',
    reasons: [...wrong, ...unknown],
    startedAt: startedAt.toISOString(),
    durationSeconds: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
    stripeMockVersion,
    apiVersion: description?.apiVersion ?? null,
    requests,
    answers,
    refused,
  }
}

function missingAnswers(answers: readonly AnswerKind[]): readonly string[] {
  const seen = new Set(answers.map(({ endpoint, status }) => `${endpoint} ${status}`))
  const expected = describeStripeEndpoints().flatMap((endpoint: EndpointDescription) =>
    statusesOf(endpoint).map((status) => `${nameOf(endpoint)} ${status}`),
  )
  return expected.filter((name) => !seen.has(name)).map((name) => `${name}: no such answer was seen`)
}

export function summarize({ verdict, reasons, requests, answers, ...report }: ConformanceReport): string {
  const accepted = requests.filter(({ isAccepted }) => isAccepted).length
  const endpoints = new Set(answers.map(({ endpoint }) => endpoint)).size
  const checked = answers.reduce((sum, { count }) => sum + count, 0)
  const wrong = answers.filter(({ violations }) => violations.length > 0).length
  const refused = report.refused.reduce((sum, { parameters }) => sum + parameters.length, 0)
  return [
    `against     stripe-mock ${report.stripeMockVersion}, Stripe's API ${report.apiVersion ?? '(not read)'}`,
    `requests    ${accepted} of ${requests.length} kinds that our gateway sends are accepted`,
    `answers     ${checked} of the simulator, ${endpoints} endpoints, ${answers.length} kinds; ${wrong} kinds do not fit`,
    `refused     ${refused} parameters that Stripe takes; the simulator's README lists them`,
    ...reasons.map((reason) => `            ${reason}`),
    `verdict     ${verdict} (${report.durationSeconds} s)`,
  ].join('\n')
}

/** Writes conformance.json as a whole or not at all. Returns its path. */
export function writeConformanceReport(root: string, report: ConformanceReport): string {
  const folder = join(root, '.seatbelt/reports')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'conformance.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(report, null, 2)}\n`)
  renameSync(`${path}.new`, path)
  return path
}
