import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lastLines, runTool, withProgress } from '../../../../scripts/run-tool.mjs'
import { findOnPath } from './find-on-path.ts'
import type { Surroundings } from './surroundings.ts'

export interface GoProgram {
  /** Of the program, which is built as `scratch`/`name`. */
  readonly name: string
  /** For the person who waits: `version 1.2.3 from source with Go, once (two minutes)`. */
  readonly what: string
  /** Its module and build caches go there too. A caller removes the folder once it has what it needs. */
  readonly scratch: string
  /** The module that is built in: `go.mod`, and what else it needs. */
  readonly files: Readonly<Record<string, string>>
  /** The package that is built: `.`, or one of a module that `go.mod` requires. */
  readonly package: string
}

/** The module cache of the build: the files of each module that was needed. */
export function moduleCache(scratch: string): string {
  return join(scratch, 'modules')
}

/**
 * Builds a program from Go modules. Null: it is there. Otherwise why not.
 *
 * The scratch folder is kept when the build fails or is interrupted, so that the next one goes on where it was.
 */
export async function buildWithGo(program: GoProgram, options: Surroundings): Promise<string | null> {
  const { environment, logs, say, signal } = options
  const { name, what, scratch } = program
  const go = findOnPath('go', environment)
  if (go === null) return 'Go, to build it, was not found on PATH.'
  mkdirSync(join(scratch, 'tmp'), { recursive: true })
  for (const [file, content] of Object.entries(program.files)) writeFileSync(join(scratch, file), content)
  const log = join(logs, `${name}-build.log`)
  const { outcome } = await withProgress(
    (text) => say(`${name}: ${text}`),
    `building ${what}`,
    () =>
      runTool(go, ['build', '-trimpath', '-ldflags=-s -w', '-o', name, program.package], {
        folder: scratch,
        log,
        environment: goEnvironment(go, scratch, environment),
        signal,
      }),
  )
  return outcome === 'exit code 0' ? null : `Building it with ${go} failed (${outcome}): ${lastLines(log, 5)}`
}

function goEnvironment(go: string, scratch: string, environment: NodeJS.ProcessEnv): Record<string, string> {
  return {
    // There is no go.sum: it is written now, and each line is compared with Go's checksum database.
    GOFLAGS: `${environment.GOFLAGS ?? ''} -mod=mod -modcacherw`.trim(),
    GOPROXY: chooseProxy(readGoProxy(go, environment)),
    CGO_ENABLED: '0',
    GOPATH: join(scratch, 'go'),
    GOCACHE: join(scratch, 'build-cache'),
    GOMODCACHE: moduleCache(scratch),
    GOTMPDIR: join(scratch, 'tmp'),
  }
}

function readGoProxy(go: string, environment: NodeJS.ProcessEnv): string {
  try {
    return execFileSync(go, ['env', 'GOPROXY'], { encoding: 'utf8', env: environment, timeout: 10_000 }).trim()
  } catch {
    return ''
  }
}

/**
 * A list without `direct` is a decision and stays. Otherwise its first proxy: `direct` would ask the repositories' own
 * hosts, where a network that reaches only the proxy waits for nothing.
 */
export function chooseProxy(list: string): string {
  const entries = list.split(/[,|]/).map((entry) => entry.trim())
  if (!entries.includes('direct')) return list
  return entries.find((entry) => entry !== 'direct' && entry !== 'off') ?? list
}
