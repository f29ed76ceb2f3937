import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadClient } from '../load/load-client.ts'
import type { Job } from '../load/slice.ts'
import { doAll, prepareJobs, type Target } from '../measure/prepare-jobs.ts'
import type { OperationName } from '../plan.ts'
import type { Profile } from '../report/bench-report.ts'
import type { BenchStack } from '../systems/start-bench-stack.ts'
import { withObservedProcess } from './observe.ts'

/** Enough for some seconds of samples, and few enough not to prolong the run. */
const requestsProfiled = 400
const requestsBefore = 100

const mostPackages = 12
const mostFunctions = 12

/** A CPU profile of V8, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly children?: readonly number[]
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Profiles one replica of Seatbelt under load, to say where the CPU time of a missed goal goes. */
export async function profileSeatbelt(
  { root, bench, client }: { readonly root: string; readonly bench: BenchStack; readonly client: LoadClient },
  operation: Exclude<OperationName, 'create-intent' | 'confirm-intent'>,
  because: readonly string[],
): Promise<Profile> {
  const service = operation === 'hold' || operation === 'checkout' ? 'booking-api' : 'payments-api'
  return withObservedProcess({ root, bench, owner: 'seatbelt', service, kind: 'profile' }, async (observed) => {
    const target = { client, origins: [observed.origin], authorization: bench.authorization }
    const jobs = await jobsFor(operation, target)
    const replayed = operation === 'replay'
    await doAll(target, jobs.slice(0, requestsBefore), 201, replayed)
    const answer = await observed.during(
      async () => void (await doAll(target, jobs.slice(requestsBefore), 201, replayed)),
    )
    const { profile } = answer as { profile: CpuProfile }
    return {
      system: 'seatbelt',
      operation,
      because,
      packages: packageShares(profile, root).slice(0, mostPackages),
      functions: functionShares(profile, root).slice(0, mostFunctions),
    }
  })
}

async function jobsFor(
  operation: Exclude<OperationName, 'create-intent' | 'confirm-intent'>,
  target: Target,
): Promise<Job[]> {
  const count = requestsBefore + requestsProfiled
  if (operation !== 'replay') return prepareJobs(operation, target, count)
  const payments = await prepareJobs('payment', target, requestsBefore)
  await doAll(target, payments, 201)
  return Array.from({ length: count }, (_, index) => payments[index % payments.length]).flatMap((job) => job ?? [])
}

export interface Share {
  readonly name: string
  readonly share: number
}

/** Self time by function, as shares of the time in which the process was not idle, the largest first. */
export function functionShares(profile: CpuProfile, root: string): Share[] {
  const frames = framesOf(profile)
  return sharesOf(profile, (id) => {
    const { functionName, url, lineNumber } = frames.get(id)?.frame ?? rootFrame
    const name = functionName || '(anonymous)'
    if (url === '') return name.startsWith('(') ? name : `${name} (native)`
    return `${name} ${shortPath(url, root)}:${lineNumber + 1}`
  })
}

/**
 * Self time by package. Node's own code, native code and WebAssembly count for the package that called them: a socket
 * write belongs to the library that writes.
 */
export function packageShares(profile: CpuProfile, root: string): Share[] {
  const frames = framesOf(profile)
  return sharesOf(profile, (id) => {
    for (let at = frames.get(id); at !== undefined; at = at.parent === null ? undefined : frames.get(at.parent)) {
      if (at.frame.url.startsWith('file:')) return packageOf(at.frame.url, root)
    }
    const { functionName, url } = frames.get(id)?.frame ?? rootFrame
    return url === '' && functionName.startsWith('(') ? functionName : 'Node itself'
  })
}

/** The npm package, or our own one, that a file belongs to. */
export function packageOf(url: string, root: string): string {
  const path = shortPath(url, root)
  const segments = path.split('/')
  if (/^(?:apps|packages|bench)\//.test(path)) return segments.slice(0, 2).join('/')
  return segments.slice(0, path.startsWith('@') ? 2 : 1).join('/')
}

type Frame = CpuProfile['nodes'][number]['callFrame']

const rootFrame: Frame = { functionName: '(root)', url: '', lineNumber: 0 }

function framesOf({ nodes }: CpuProfile): Map<number, { readonly frame: Frame; readonly parent: number | null }> {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)))
  return new Map(nodes.map(({ id, callFrame }) => [id, { frame: callFrame, parent: parents.get(id) ?? null }]))
}

/** Waiting for work, and the probe itself. */
function isNotTheProgram({ callFrame: { functionName, url } }: CpuProfile['nodes'][number]): boolean {
  return functionName === '(idle)' || (url === '' && functionName === 'dispatch') || url.endsWith('/probe.mjs')
}

function sharesOf({ nodes, samples, timeDeltas }: CpuProfile, nameOf: (id: number) => string): Share[] {
  const idle = new Set(nodes.filter(isNotTheProgram).map(({ id }) => id))
  const times = new Map<string, number>()
  let busyUs = 0
  for (const [index, id] of samples.entries()) {
    if (idle.has(id)) continue
    // The delta before a sample is the time since the sample before it.
    const us = Math.max(0, timeDeltas[index] ?? 0)
    busyUs += us
    times.set(nameOf(id), (times.get(nameOf(id)) ?? 0) + us)
  }
  return [...times]
    .map(([name, us]) => ({ name, share: busyUs === 0 ? 0 : Math.round((us / busyUs) * 1_000) / 1_000 }))
    .sort((one, other) => other.share - one.share)
}

/** From the root of the checkout, or from the package inside node_modules. */
function shortPath(url: string, root: string): string {
  if (!url.startsWith('file:')) return url
  const path = fileURLToPath(url.split('?')[0] ?? '')
  const modules = path.lastIndexOf('node_modules/')
  return modules >= 0 ? path.slice(modules + 'node_modules/'.length) : relative(root, path)
}
