import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createStripeGateway } from '@seatbelt/payments'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { closeRun, openRun, type Run, reapAbandonedRuns } from '../../../../scripts/run-records.mjs'
import { findFreePorts } from '../stack/free-ports.ts'
import { findStripeMock, planStripeMock, stripeMockVersion } from '../stack/stripe-mock.ts'
import { supervise } from '../stack/supervisor.ts'
import {
  buildConformanceReport,
  type Found,
  judgeAnswers,
  refusedParameters,
  summarize,
  writeConformanceReport,
} from './conformance-report.ts'
import { type RequestOutcome, sendGatewayRequests } from './gateway-requests.ts'
import { collectSimulatorAnswers } from './simulator-answers.ts'
import { readStripeDescription } from './stripe-description.ts'

export interface ConformanceOptions {
  readonly root: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

const exitCodes = { valid: 0, invalid: 1, unknown: 2 } as const

/**
 * The build takes a minute and the comparison some seconds, on two cores. Ten minutes are for machines that are busy
 * with other things; CI must not hang.
 */
const withinMs = 600_000

/**
 * Compares both sides of the gateway's protocol with software that others wrote: our requests with stripe-mock, and the
 * simulator's answers with Stripe's OpenAPI description. Always writes the report. Resolves to the exit code: 0 valid,
 * 1 invalid, 2 unknown.
 */
export async function runConformance(options: ConformanceOptions): Promise<number> {
  const { root, say, signal } = options
  const startedAt = new Date()
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(withinMs)])
  await reapAbandonedRuns(join(root, '.seatbelt'))
  const run = openRun(join(root, '.seatbelt'), 'conformance')
  let found: Found = { brokenOffBecause: null }
  try {
    found = await compare({ ...options, signal: bounded }, run)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    found = {
      brokenOffBecause: bounded.aborted && !signal.aborted ? `it took more than ${withinMs / 60_000} min` : why,
    }
  } finally {
    closeRun(run)
  }
  const report = buildConformanceReport(startedAt, stripeMockVersion, found)
  say(summarize(report))
  say(`Report: ${writeConformanceReport(root, report)}`)
  signal.throwIfAborted()
  return exitCodes[report.verdict]
}

async function compare(options: ConformanceOptions, run: Run): Promise<Found> {
  const { root, say, signal } = options
  const mock = await findStripeMock({ cache: cacheFolder(), environment: process.env, logs: run.logs, say, signal })
  const requests = await askStripeMock(mock.program, run, signal)
  const description = readStripeDescription(mock.description)
  const ledger = join(run.folder, 'simulator')
  mkdirSync(ledger, { recursive: true })
  const exchanges = await collectSimulatorAnswers(ledger)
  return {
    requests,
    description,
    answers: judgeAnswers(description, exchanges),
    refused: refusedParameters(description),
    readme: readFileSync(join(root, 'apps/gateway/README.md'), 'utf8'),
    brokenOffBecause: null,
  }
}

async function askStripeMock(program: string, run: Run, signal: AbortSignal): Promise<readonly RequestOutcome[]> {
  const [port = 0] = await findFreePorts([null])
  const supervisor = supervise(run, signal)
  const url = `http://127.0.0.1:${port}`
  const gateway = createStripeGateway({ url, apiKey: 'sk_test_conformance', deadlineMs: 30_000, maxConnections: 4 })
  try {
    await supervisor.start([planStripeMock(program, run, port)])
    return await sendGatewayRequests(gateway)
  } finally {
    await gateway.close()
    await supervisor.stop()
  }
}
