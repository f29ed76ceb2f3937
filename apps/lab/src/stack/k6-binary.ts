import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withFolderLock } from '../../../../scripts/folder-lock.mjs'
import { lastLines, runTool, withProgress } from '../../../../scripts/run-tool.mjs'
import { buildWithGo } from './build-with-go.ts'
import { findOnPath, isExecutableFile } from './find-on-path.ts'
import { MissingProgram } from './missing-program.ts'
import type { Surroundings } from './surroundings.ts'

/** What is downloaded or built. Any k6 from 1.8 on will do: older ones do not run TypeScript with `.ts` imports as ours. */
const version = '2.2.0'
const leastVersion: readonly [number, number] = [1, 8]

/** Where this host cannot be reached, that must be found out before anybody wonders. */
const reachableWithinMs = 8_000

/** Some 30 MB. On a line so slow that it takes longer, building is no slower. */
const downloadWithinMs = 180_000

/** The newest Go that this version of k6 asks for. */
const leastGo = '1.25'

export interface K6Options extends Surroundings {
  /** Where the releases are published. */
  readonly releasesUrl?: string
}

/**
 * Finds k6: K6_BIN, on PATH, in the cache, the release archive from GitHub (its checksum is compared with the published one), or builds it
 * with Go, which needs some minutes, once.
 *
 * Fails with: `MissingProgram`, whose message says what was tried and the three ways to get it. A load test is never skipped for the lack of k6.
 */
export async function findK6(options: K6Options): Promise<string> {
  const { environment, cache, say, signal } = options
  const found = lookForK6(options)
  if (found !== null) return found
  const onWait = () => say('k6: waiting for another run that is getting it')
  return withFolderLock(join(cache, 'k6.lock'), { signal, onWait }, async () => {
    const target = cachedK6(cache)
    if (readVersion(target) !== null) return target
    const onPath = findOnPath('k6', environment)
    const problems = onPath === null ? [] : [`k6 on PATH (${onPath}) is older than ${leastVersion.join('.')}.`]
    for (const get of [download, build]) {
      const problem = await get(target, options)
      if (problem === null) return target
      problems.push(problem)
    }
    throw missingK6(problems)
  })
}

/** The k6 that this machine has already: K6_BIN, on PATH, in the cache; or null. Fails with: `MissingProgram` where K6_BIN names none. */
export function lookForK6({ environment, cache }: Pick<Surroundings, 'environment' | 'cache'>): string | null {
  if (environment.K6_BIN) return checkGiven(environment.K6_BIN)
  const onPath = findOnPath('k6', environment)
  if (onPath !== null && isRecentEnough(readVersion(onPath))) return onPath
  return readVersion(cachedK6(cache)) === null ? null : cachedK6(cache)
}

function cachedK6(cache: string): string {
  return join(cache, `k6-${version}`, 'k6')
}

function checkGiven(path: string): string {
  if (isRecentEnough(readVersion(path))) return path
  throw new MissingProgram(`K6_BIN names ${path}, which is not a k6 of version ${leastVersion.join('.')} or later.`)
}

/** Null: there is no such program, or it does not run. */
function readVersion(path: string): readonly [number, number] | null {
  if (!isExecutableFile(path)) return null
  try {
    const output = execFileSync(path, ['version'], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [, major, minor] = /\bv(\d+)\.(\d+)\./.exec(output) ?? []
    return major === undefined || minor === undefined ? null : [Number(major), Number(minor)]
  } catch {
    return null
  }
}

function isRecentEnough(found: readonly [number, number] | null): boolean {
  if (found === null) return false
  return found[0] > leastVersion[0] || (found[0] === leastVersion[0] && found[1] >= leastVersion[1])
}

/** Null: it is there. Otherwise why not. */
async function download(target: string, options: K6Options): Promise<string | null> {
  const { releasesUrl = 'https://github.com/grafana/k6/releases/download', say, signal } = options
  const archive = archiveName()
  const base = `${releasesUrl}/v${version}`
  const draft = `${dirname(target)}.${process.pid}`
  try {
    const published = await fetchBytes(`${base}/k6-v${version}-checksums.txt`, reachableWithinMs, signal)
    const expected = findChecksum(published.toString('utf8'), archive)
    return await withProgress(
      (text) => say(`k6: ${text}`),
      `downloading ${archive} (about 30 MB)`,
      async () => {
        const content = await fetchBytes(`${base}/${archive}`, downloadWithinMs, signal)
        const found = createHash('sha256').update(content).digest('hex')
        if (found !== expected) return `${base}/${archive} does not have the published checksum and was thrown away.`
        return await unpack({ archive, content, draft, target }, options)
      },
    )
  } catch (error) {
    signal?.throwIfAborted()
    return `Downloading from ${new URL(releasesUrl).host} failed: ${reasonOf(error)}.`
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function archiveName(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  return process.platform === 'darwin'
    ? `k6-v${version}-macos-${architecture}.zip`
    : `k6-v${version}-linux-${architecture}.tar.gz`
}

async function fetchBytes(url: string, withinMs: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const timeout = AbortSignal.timeout(withinMs)
  const response = await fetch(url, { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) })
  if (!response.ok) throw new Error(`${url} was answered with ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

function findChecksum(published: string, archive: string): string {
  const line = published.split('\n').find((candidate) => candidate.trim().endsWith(archive))
  const checksum = line?.trim().split(/\s+/)[0]
  if (checksum === undefined || !/^[0-9a-f]{64}$/.test(checksum))
    throw new Error(`no checksum of ${archive} is published`)
  return checksum
}

interface Archive {
  readonly archive: string
  readonly content: Buffer
  readonly draft: string
  readonly target: string
}

async function unpack(
  { archive, content, draft, target }: Archive,
  { logs, signal }: K6Options,
): Promise<string | null> {
  mkdirSync(draft, { recursive: true })
  writeFileSync(join(draft, archive), content)
  const log = join(logs, 'k6-unpack.log')
  // The tar of macOS reads zip files too.
  const { outcome } = await runTool('tar', ['-xf', archive], { folder: draft, log, signal })
  if (outcome !== 'exit code 0') return `Unpacking ${archive} failed (${outcome}): ${lastLines(log, 3)}`
  return install(join(draft, archive.replace(/\.(zip|tar\.gz)$/, ''), 'k6'), target)
}

/** Moves a program to where it is looked for, once it has shown that it runs here. */
function install(program: string, target: string): string | null {
  if (readVersion(program) === null) return 'The k6 that was obtained does not run on this machine.'
  mkdirSync(dirname(target), { recursive: true })
  renameSync(program, target)
  return null
}

/**
 * Builds a program that is nothing but k6's own command. (`go install` of the module asks for more than modules: whether it is
 * deprecated, at its repository, which not every network can reach.)
 */
async function build(target: string, options: K6Options): Promise<string | null> {
  const scratch = join(options.cache, 'k6-build')
  const problem = await buildWithGo(
    {
      name: 'k6',
      what: `version ${version} from source with Go, once (two or three minutes on two cores)`,
      scratch,
      files: {
        'go.mod': `module k6\n\ngo ${leastGo}\n\nrequire go.k6.io/k6/v2 v${version}\n`,
        'main.go': 'package main\n\nimport "go.k6.io/k6/v2/cmd"\n\nfunc main() { cmd.Execute() }\n',
      },
      package: '.',
    },
    options,
  )
  if (problem !== null) return problem
  const refused = install(join(scratch, 'k6'), target)
  if (refused === null) rmSync(scratch, { recursive: true, force: true })
  return refused
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}

function missingK6(problems: readonly string[]): MissingProgram {
  return new MissingProgram(
    [
      'No k6 was found, and none could be got:',
      ...problems.map((problem) => `  - ${problem}`),
      '',
      'Any of these helps:',
      '  1. install it (https://grafana.com/docs/k6/latest/set-up/install-k6/), so that k6 is on PATH',
      '  2. name the program: K6_BIN=/path/to/k6',
      `  3. install Go ${leastGo} or later (https://go.dev/dl/), with which it is then built, once`,
    ].join('\n'),
  )
}
