import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { lastLines, runTool } from '../../../../scripts/run-tool.mjs'
import { runDemo } from '../demo/run-demo.ts'
import { findK6 } from '../stack/k6-binary.ts'
import { startTestServers } from '../stack/test-servers.ts'

export interface TestOptions {
  readonly root: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

interface Tally {
  readonly passed: number
  readonly failed: number
}

interface Step {
  readonly name: string
  readonly run: (options: TestOptions) => Promise<Tally>
}

/** Enough for overlapping duplicates of every kind and for some lost answers, few enough for a short run. */
const ordersOfTheLoad = 200

/** Fast and cheap first: who forgot a semicolon should not wait for the load. */
const steps: readonly Step[] = [
  { name: 'lint', run: (options) => runChecker(options, 'lint', 'biome', ['check', '.']) },
  { name: 'types', run: (options) => runChecker(options, 'types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']) },
  {
    name: 'types of load tests',
    run: (options) => runChecker(options, 'types-loadtests', 'tsc', ['--noEmit', '-p', 'loadtests/tsconfig.json']),
  },
  { name: 'unit, integration and API tests', run: runVitest },
  { name: 'load, with its control', run: runLoad },
]

/** Runs everything that must hold. All steps are run, also after one that failed; the exit code is 1 if anything did. */
export async function test(options: TestOptions): Promise<number> {
  const { root, say, signal } = options
  // First, because it may take minutes; and a machine that cannot have it must not look as if the load had been passed.
  await findK6({ cache: cacheFolder(), environment: process.env, logs: join(root, '.seatbelt/test'), say, signal })
  const tallies: Tally[] = []
  for (const { name, run } of steps) {
    signal.throwIfAborted()
    say(`\n== ${name}`)
    const startedAtMs = performance.now()
    const tally = await run(options).catch((error: unknown) => {
      signal.throwIfAborted()
      say(error instanceof Error ? (error.stack ?? error.message) : String(error))
      return asTally(false)
    })
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1)
    say(`== ${name}: ${describe(tally)} (${seconds} s)`)
    tallies.push(tally)
  }
  const total = tallies.reduce((sum, { passed, failed }) => ({
    passed: sum.passed + passed,
    failed: sum.failed + failed,
  }))
  say(`\n${describe(total)}`)
  return total.failed === 0 ? 0 : 1
}

function describe({ passed, failed }: Tally): string {
  return `${passed} passed, ${failed} failed`
}

function asTally(holds: boolean): Tally {
  return holds ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

/** A tool that says yes or no by its exit code; what it says is shown if it says no. */
async function runChecker(
  { root, say, signal }: TestOptions,
  name: string,
  tool: string,
  args: readonly string[],
): Promise<Tally> {
  const log = join(root, '.seatbelt/test', `${name}.log`)
  const { exitCode, outcome } = await runTool(join(root, 'node_modules/.bin', tool), args, {
    folder: root,
    log,
    signal,
  })
  if (exitCode !== 0) say(`${tool} ${args.join(' ')}: ${outcome}\n${lastLines(log, 80)}`)
  return asTally(exitCode === 0)
}

const vitestReport = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  /** A file that could not be read counts as failed although none of its tests ran. */
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) })),
})

/** The servers are started here rather than by vitest, so that a Ctrl-C finds them under the one supervisor of this process. */
async function runVitest({ root, say, signal }: TestOptions): Promise<Tally> {
  const report = join(root, '.seatbelt/test/vitest.json')
  mkdirSync(join(root, '.seatbelt/test'), { recursive: true })
  // That of the last run must not be counted where this one writes none.
  rmSync(report, { force: true })
  const servers = await startTestServers({ root, say, signal })
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const { exitCode } = await runTool(join(root, 'node_modules/.bin/vitest'), ['run', ...reporters], {
      folder: root,
      log: null,
      environment: { ...servers.environment, NODE_ENV: 'test' },
      signal,
    })
    return readTally(report, exitCode)
  } finally {
    await servers.stop()
  }
}

function readTally(path: string, exitCode: number | null): Tally {
  const read = vitestReport.safeParse(readJson(path))
  if (!read.success) return { passed: 0, failed: 1 }
  const { numPassedTests: passed, numFailedTests, testResults } = read.data
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((assertion) => assertion.status !== 'failed'),
  )
  const failed = numFailedTests + brokenFiles.length
  // An error outside of any test, or a run without tests, is in the exit code alone.
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

/** The demo, small: its verdict is valid only if the layers kept every invariant and the control, without them, did not. */
async function runLoad({ root, say, signal }: TestOptions): Promise<Tally> {
  const exitCode = await runDemo({ root, report: 'test-load', say, signal, keep: false, orders: ordersOfTheLoad })
  return asTally(exitCode === 0)
}
