import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withFolderLock } from '../../../../scripts/folder-lock.mjs'
import { runTool, withProgress } from '../../../../scripts/run-tool.mjs'
import { findOnPath, isExecutableFile } from './find-on-path.ts'
import { MissingProgram } from './missing-program.ts'
import type { Surroundings } from './surroundings.ts'

/** The package and what it needs, and what those need: far fewer than this, or something is wrong. */
const mostPackages = 30

/**
 * Finds a Redis server: REDIS_SERVER_BIN, on PATH (Redis or Valkey), in the cache, or, on Debian and its descendants, in the
 * distribution's packages, which are unpacked into the cache. Nothing is installed, and no service is started.
 *
 * Fails with: `MissingProgram`, whose message says how to get one.
 */
export async function findRedis(surroundings: Surroundings): Promise<string> {
  const { environment, cache, signal, say } = surroundings
  const given = environment.REDIS_SERVER_BIN
  if (given) {
    if (isExecutableFile(given)) return given
    throw new MissingProgram(`REDIS_SERVER_BIN names ${given}, which is not an executable file.`)
  }
  const onPath = findOnPath('redis-server', environment) ?? findOnPath('valkey-server', environment)
  if (onPath !== null) return onPath
  const cached = join(cache, 'redis', launcher)
  if (runs(cached)) return cached
  if (findOnPath('apt-get', environment) === null || findOnPath('dpkg-deb', environment) === null)
    throw missingRedis('')
  const onWait = () => say('redis: waiting for another run that is getting it')
  return withFolderLock(join(cache, 'redis.lock'), { signal, onWait }, async () => {
    if (!runs(cached)) await unpackDebianPackages(join(cache, 'redis'), surroundings)
    return cached
  })
}

const launcher = 'bin/redis-server'

/** The libraries lie beside the program; only the program is told so, nothing else that its caller starts. */
const launcherScript = `#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
for libraries in "$here"/usr/lib/*-linux-* "$here"/lib/*-linux-*; do
  LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
exec "$here/usr/bin/redis-server" "$@"
`

function runs(path: string): boolean {
  if (!isExecutableFile(path)) return false
  try {
    execFileSync(path, ['--version'], { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}

async function unpackDebianPackages(target: string, surroundings: Surroundings): Promise<void> {
  const { cache, logs, signal, say } = surroundings
  const draft = join(cache, `redis.${process.pid}`)
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(join(draft, 'packages'), { recursive: true })
  const tool = (program: string, ...args: string[]) =>
    runTool(program, args, { folder: join(draft, 'packages'), log: join(logs, 'redis-packages.log'), signal })
  try {
    await withProgress(
      (text) => say(`redis: ${text}`),
      'unpacking it from the packages of this Linux (a few MB)',
      async () => {
        const problem = await downloadPackages(tool, draft)
        if (problem !== null) throw missingRedis(problem)
        for (const file of readdirSync(join(draft, 'packages')).filter((name) => name.endsWith('.deb'))) {
          await tool('dpkg-deb', '-x', file, draft)
        }
        // In redis-tools for its checking of dumps; which of its programs it is, it tells by the name it was called with.
        const binary = join(draft, 'usr/bin/redis-server')
        if (!existsSync(binary)) symlinkSync('redis-check-rdb', binary)
        mkdirSync(join(draft, 'bin'))
        writeFileSync(join(draft, launcher), launcherScript, { mode: 0o755 })
        if (!runs(join(draft, launcher))) throw missingRedis('The unpacked package does not run here.')
        for (const rest of ['packages', 'apt']) rmSync(join(draft, rest), { recursive: true, force: true })
        rmSync(target, { recursive: true, force: true })
        renameSync(draft, target)
      },
    )
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

type Tool = (program: string, ...args: string[]) => Promise<{ readonly outcome: string }>

/** `redis-tools`, not `redis-server`: its package would start a daemon on 6379 if anybody installed it. Null: all is there. */
async function downloadPackages(tool: Tool, draft: string): Promise<string | null> {
  const folder = join(draft, 'packages')
  let apt: readonly string[] = []
  if ((await tool('apt-get', 'download', 'redis-tools')).outcome !== 'exit code 0') {
    // A slim image comes without package lists; these are fetched into our own folder, which needs no root.
    apt = ownLists(draft)
    await tool('apt-get', ...apt, 'update')
    const { outcome } = await tool('apt-get', ...apt, 'download', 'redis-tools')
    if (outcome !== 'exit code 0') return `"apt-get download redis-tools" failed (${outcome}).`
  }
  const asked = new Set(['redis-tools'])
  for (;;) {
    const missing = missingDependencies(folder).filter((name) => !asked.has(name))
    if (missing.length === 0) return null
    for (const name of missing) asked.add(name)
    if (asked.size > mostPackages) return `redis-tools needs more than ${mostPackages} packages that are not installed.`
    await tool('apt-get', ...apt, 'download', ...missing)
  }
}

function ownLists(draft: string): string[] {
  const folder = join(draft, 'apt')
  for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, name), { recursive: true })
  const settings = {
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': 'root',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** What the downloaded packages depend on and this machine does not have. Of alternatives the first is taken. */
function missingDependencies(folder: string): string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.deb'))
  const dependencies = files.flatMap((file) =>
    execFileSync('dpkg-deb', ['-f', join(folder, file), 'Depends'], { encoding: 'utf8' })
      .split(',')
      .map((dependency) => dependency.split('|')[0]?.trim().split(/[\s:]/)[0] ?? ''),
  )
  // Only libraries are needed by a program that is not installed; `adduser` and the like serve the installation.
  return [...new Set(dependencies)].filter((name) => name.startsWith('lib') && name !== 'libc6' && !isInstalled(name))
}

function isInstalled(name: string): boolean {
  try {
    const status = execFileSync('dpkg', ['-s', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return status.includes('\nStatus: install ok ')
  } catch {
    return false
  }
}

function missingRedis(reason: string): MissingProgram {
  return new MissingProgram(
    [
      `No Redis server was found. ${reason}`.trim(),
      'Any of these helps:',
      '  - put redis-server or valkey-server on PATH (macOS: brew install redis; Fedora: dnf install valkey; Alpine: apk add redis)',
      '  - name a running one: REDIS_URLS=redis://127.0.0.1:6379',
    ].join('\n'),
  )
}
