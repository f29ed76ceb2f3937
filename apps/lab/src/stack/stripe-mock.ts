import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { withFolderLock } from '../../../../scripts/folder-lock.mjs'
import type { Run } from '../../../../scripts/run-records.mjs'
import { buildWithGo, moduleCache } from './build-with-go.ts'
import { isExecutableFile } from './find-on-path.ts'
import { MissingProgram } from './missing-program.ts'
import type { ProcessPlan } from './supervisor.ts'
import type { Surroundings } from './surroundings.ts'

/** With it comes Stripe's description of the API of 2026-08-26.dahlia. A newer one has a newer description. */
export const stripeMockVersion = '0.203.0'

const module = 'github.com/stripe/stripe-mock'

export interface StripeMock {
  readonly program: string
  /** Stripe's OpenAPI description, as JSON. */
  readonly description: string
}

/**
 * Finds stripe-mock and the description in its module: in the cache, or builds it with Go, once.
 *
 * Fails with: `MissingProgram`. The comparison is never skipped for the lack of it.
 */
export async function findStripeMock(options: Surroundings): Promise<StripeMock> {
  const { cache, say, signal } = options
  const folder = join(cache, `stripe-mock-${stripeMockVersion}`)
  const found = { program: join(folder, 'stripe-mock'), description: join(folder, 'spec3.json') }
  const isThere = () => isExecutableFile(found.program) && existsSync(found.description)
  if (isThere()) return found
  const onWait = () => say('stripe-mock: waiting for another run that is building it')
  return withFolderLock(join(cache, 'stripe-mock.lock'), { signal, onWait }, async () => {
    if (isThere()) return found
    const problem = await build(folder, options)
    if (problem === null) return found
    throw new MissingProgram(
      `stripe-mock could not be built: ${problem}\nInstall Go (https://go.dev/dl/) and try again.`,
    )
  })
}

async function build(folder: string, options: Surroundings): Promise<string | null> {
  const scratch = join(options.cache, 'stripe-mock-build')
  const problem = await buildWithGo(
    {
      name: 'stripe-mock',
      what: `version ${stripeMockVersion} from source with Go, once (a minute on two cores)`,
      scratch,
      files: { 'go.mod': `module conformance\n\ngo 1.21\n\nrequire ${module} v${stripeMockVersion}\n` },
      package: module,
    },
    options,
  )
  if (problem !== null) return problem
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  const embedded = join(moduleCache(scratch), `${module}@v${stripeMockVersion}`, 'embedded/openapi/spec3.json')
  copyFileSync(embedded, join(draft, 'spec3.json'))
  renameSync(join(scratch, 'stripe-mock'), join(draft, 'stripe-mock'))
  rmSync(folder, { recursive: true, force: true })
  renameSync(draft, folder)
  rmSync(scratch, { recursive: true, force: true })
  return null
}

export function planStripeMock(program: string, run: Run, port: number): ProcessPlan {
  return {
    name: 'stripe-mock',
    command: program,
    args: ['-http-addr', `127.0.0.1:${port}`],
    folder: run.folder,
    environment: process.env,
    endsWithParent: { signal: 'KILL' },
    stopSignal: 'SIGTERM',
    graceMs: 3_000,
    // It reads 8 MB of JSON at its start.
    readyWithinMs: 60_000,
    isReady: () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      ),
  }
}
