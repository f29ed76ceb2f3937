import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../../scripts/cache-folder.mjs'

export interface DebianProgram {
  /** Of the package and of its program in /usr/sbin. */
  readonly name: string
  /** The environment variable that names another program. */
  readonly variable: string
}

/**
 * The path of a server program, or null. It looks at the variable, on PATH and in the cache, and otherwise unpacks
 * Debian's package into the cache. It installs nothing.
 */
export function findDebianProgram({ name, variable }: DebianProgram): string | null {
  const cached = join(cacheFolder(), name)
  const folders = `${process.env.PATH ?? ''}:/usr/sbin`.split(':')
  const places = [process.env[variable] ?? '', ...folders.map((folder) => join(folder, name))]
  const unpacked = join(cached, 'usr/sbin', name)
  const found = [...places, unpacked].find(isExecutable)
  if (found !== undefined) return found
  const draft = `${cached}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  try {
    download(name, draft)
    if (!existsSync(cached)) renameSync(draft, cached)
    return isExecutable(unpacked) ? unpacked : null
  } catch {
    return null
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

/** With the libraries that were unpacked beside the program. */
export function environmentOf(program: string): NodeJS.ProcessEnv {
  const libraries = ['usr/lib', 'lib'].flatMap((below) => librariesBelow(join(program, '../../..', below)))
  return { ...process.env, LD_LIBRARY_PATH: libraries.join(':') }
}

function download(name: string, folder: string): void {
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 })
  run('apt-get', 'download', name)
  const packages = () => readdirSync(folder).filter((name) => name.endsWith('.deb'))
  const libraries = packages()
    .flatMap((file) => run('dpkg-deb', '-f', file, 'Depends').split(','))
    .map((dependency) => dependency.trim().split(/[\s:|]/)[0] ?? '')
    .filter((name) => name.startsWith('lib') && name !== 'libc6')
  run('apt-get', 'download', ...libraries)
  for (const file of packages()) run('dpkg-deb', '-x', file, folder)
}

function librariesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.includes('-linux-'))
    .map((name) => join(folder, name))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return path.startsWith('/')
  } catch {
    return false
  }
}
