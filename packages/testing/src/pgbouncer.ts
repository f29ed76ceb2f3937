import { execFileSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheFolder } from '../../../scripts/cache-folder.mjs'
import { endServer, startOnFreePort } from './server-process.ts'

/** A real PgBouncer in front of one database. */
export interface PgBouncer {
  readonly url: string
  close(): Promise<void>
}

/**
 * Starts a PgBouncer in transaction mode with one server connection that all clients share.
 *
 * `settings` are lines of its `[pgbouncer]` section, such as `{ default_pool_size: 4 }`, and win over these.
 */
export async function startPgBouncer(
  binary: string,
  databaseUrl: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-pgbouncer-'))
  const libraries = ['usr/lib', 'lib'].flatMap((below) => librariesBelow(join(binary, '../../..', below)))
  const { port, child } = await startOnFreePort((candidate) => {
    const configuration = join(folder, `${candidate}.ini`)
    const all = { ...defaultSettings, listen_port: candidate, ...settings }
    writeFileSync(configuration, configurationOf(databaseUrl, all))
    return {
      name: 'PgBouncer',
      command: binary,
      args: [configuration],
      environment: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
      remedy: 'set PGBOUNCER_BIN',
      answers: isListening,
    }
  })
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    async close() {
      await endServer(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const defaultSettings = {
  listen_addr: '127.0.0.1',
  unix_socket_dir: '',
  auth_type: 'any',
  pool_mode: 'transaction',
  default_pool_size: 1,
  // It refuses to run as root.
  ...(process.getuid?.() === 0 ? { user: 'nobody' } : {}),
}

function configurationOf(databaseUrl: string, settings: Readonly<Record<string, string | number>>): string {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl)
  const [user, secret] = [username, password].map(decodeURIComponent)
  return [
    '[databases]',
    `${pathname.slice(1)} = host=${hostname} port=${port || 5432} user=${user} password=${secret}`,
    '[pgbouncer]',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
  ].join('\n')
}

/**
 * The path of a PgBouncer, or null. It looks at PGBOUNCER_BIN, on PATH and in the cache, and otherwise unpacks Debian's
 * package (200 KB) into the cache. It installs nothing.
 */
export function findPgBouncer(): string | null {
  const { PGBOUNCER_BIN, PATH = '' } = process.env
  const cached = join(cacheFolder(), 'pgbouncer')
  const places = [PGBOUNCER_BIN ?? '', ...`${PATH}:/usr/sbin`.split(':').map((folder) => join(folder, 'pgbouncer'))]
  const unpacked = join(cached, 'usr/sbin/pgbouncer')
  const found = [...places, unpacked].find(isExecutable)
  if (found !== undefined) return found
  const draft = `${cached}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  try {
    download(draft)
    if (!existsSync(cached)) renameSync(draft, cached)
    return isExecutable(unpacked) ? unpacked : null
  } catch {
    return null
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

function download(folder: string): void {
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 })
  run('apt-get', 'download', 'pgbouncer')
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

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
