import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { BenchStack, DatabaseOwner } from '../systems/start-bench-stack.ts'
import { servicesOf } from '../systems/start-bench-stack.ts'

/** V8 writes megabytes of JSON on a machine that may be busy. */
const writtenWithinMs = 30_000
const lookAgainMs = 20

export interface ObservedProcess {
  /** Base address of the process. */
  readonly origin: string
  /** Observes the process while `work` runs, and returns what V8 saw. */
  during(work: () => Promise<void>): Promise<unknown>
}

export interface ObserveOptions {
  readonly root: string
  readonly bench: BenchStack
  readonly owner: DatabaseOwner
  /** The owner's process: `payments-api`, `booking-api` or the owner's own name. */
  readonly service: string
  readonly kind: 'coverage' | 'profile'
}

/** The sources of programs that otherwise run as bundles: V8 then names real files. */
const sourcesOf: Readonly<Record<string, string>> = {
  'payments-api': 'apps/payments-api/src/main.ts',
  'booking-api': 'apps/booking-api/src/main.ts',
  control: 'apps/lab/src/control/main.ts',
}

/** Starts one more process of a system, from its sources and with the probe in it, for as long as `work` takes. */
export async function withObservedProcess<T>(
  { root, bench, owner, service: wanted, kind }: ObserveOptions,
  work: (observed: ObservedProcess) => Promise<T>,
): Promise<T> {
  const output = join(bench.stack.run.folder, `${wanted}-${kind}.json`)
  const suffix = `-${kind}`
  const probe = pathToFileURL(join(root, 'bench/src/probe/probe.mjs')).href
  const source = sourcesOf[wanted]
  const imports = [...(source === undefined ? [] : ['tsx']), probe]
  const environment = {
    NODE_OPTIONS: imports.map((specifier) => `--import ${specifier}`).join(' '),
    BENCH_PROBE: kind,
    BENCH_PROBE_OUTPUT: output,
  }
  const stores = { databaseUrl: bench.databaseUrl(owner), redisUrl: bench.redisUrl }
  const service = servicesOf(owner, { ...stores, suffix, instances: 1, environment }).find(
    ({ name }) => name === `${wanted}${suffix}`,
  )
  const name = service?.instances[0]?.name
  if (service === undefined || name === undefined) throw new Error(`${owner} has no process ${wanted}`)
  try {
    await bench.stack.add([{ ...service, program: source ?? service.program }])
    return await work({
      origin: bench.stack.url(name),
      during: (observedWork) => observe(bench.stack.pid(name), output, observedWork),
    })
  } finally {
    await bench.stack.kill(name)
  }
}

async function observe(pid: number | null, output: string, work: () => Promise<void>): Promise<unknown> {
  if (pid === null) throw new Error('the observed process has ended')
  // An earlier observation may have left its result.
  for (const path of [output, `${output}.begun`]) rmSync(path, { force: true })
  process.kill(pid, 'SIGUSR2')
  await waitForFile(`${output}.begun`)
  await work()
  process.kill(pid, 'SIGUSR2')
  await waitForFile(output)
  return JSON.parse(readFileSync(output, 'utf8'))
}

async function waitForFile(path: string): Promise<void> {
  const deadlineMs = performance.now() + writtenWithinMs
  while (!existsSync(path)) {
    if (performance.now() > deadlineMs) throw new Error(`the probe did not write ${path} within ${writtenWithinMs} ms`)
    await sleep(lookAgainMs)
  }
}
