import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadClient } from '../load/load-client.ts'
import { doAll, prepareJobs } from '../measure/prepare-jobs.ts'
import type { FilesPerPayment } from '../report/bench-report.ts'
import type { BenchStack } from '../systems/start-bench-stack.ts'
import { withObservedProcess } from './observe.ts'

/** Payments before the observed one: what only the first payment of a process does is not counted. */
const warmUpPayments = 10

/** The one with the fewest files counts: a timer that fires meanwhile is not the payment's. */
const observedPayments = 3

/** Not counted: what every HTTP service needs, and the locks, which are a library of their own. */
const elsewhere = ['packages/http/', 'packages/locks/']

/** V8's answer to `Profiler.takePreciseCoverage`, as far as it is read here. */
export interface PreciseCoverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[]
  }[]
}

/** Counts our own files of which a function is called during one first payment. */
export async function countFilesPerPayment(
  root: string,
  bench: BenchStack,
  client: LoadClient,
): Promise<FilesPerPayment> {
  return withObservedProcess(
    { root, bench, owner: 'seatbelt', service: 'payments-api', kind: 'coverage' },
    async ({ origin, during }) => {
      const target = { client, origins: [origin], authorization: bench.authorization }
      const jobs = await prepareJobs('payment', target, warmUpPayments + observedPayments)
      await doAll(target, jobs.slice(0, warmUpPayments), 201)
      const observed: string[][] = []
      for (const job of jobs.slice(warmUpPayments)) {
        const coverage = await during(async () => void (await doAll(target, [job], 201)))
        observed.push(calledFiles(coverage as PreciseCoverage, root))
      }
      const files = observed.toSorted((one, other) => one.length - other.length)[0] ?? []
      const isElsewhere = (file: string) => elsewhere.some((folder) => file.startsWith(folder))
      return { files: files.filter((file) => !isElsewhere(file)), filesOfHttpAndLocks: files.filter(isElsewhere) }
    },
  )
}

/** Our own sources with a function that was called, relative to the root and sorted. */
export function calledFiles({ result }: PreciseCoverage, root: string): string[] {
  const called = result.filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0))
  const files = called.flatMap(({ url }) =>
    url.startsWith('file:') ? [relative(root, fileURLToPath(url.split('?')[0] ?? ''))] : [],
  )
  return [...new Set(files)]
    .filter((file) => /^(?:apps|packages)\//.test(file) && !file.includes('node_modules/'))
    .sort()
}
