import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
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
import { eventually, freePort } from '@seatbelt/testing'
import { cacheFolder } from '../../../scripts/cache-folder.mjs'

/** A real PgBouncer in front of a database, in transaction mode, with one server connection that all clients share. */
export interface PgBouncer {
  readonly url: string
  close(): Promise<void>
}

export async function startPgBouncer(binary: string, databaseUrl: string): Promise<PgBouncer> {
  const { hostname, port: serverPort, username, password, pathname } = new URL(databaseUrl)
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-pgbouncer-'))
  const port = await freePort()
  const database = pathname.slice(1)
  const configuration = join(folder, 'pgbouncer.ini')
  writeFileSync(
    configuration,
    [
      '[databases]',
      `${database} = host=${hostname} port=${serverPort || 5432} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
      'pool_mode = transaction',
      'default_pool_size = 1',
      // It refuses to run as root.
      ...(process.getuid?.() === 0 ? ['user = nobody'] : []),
    ].join('\n'),
  )
  const libraries = ['usr/lib', 'lib'].flatMap((below) => librariesBelow(join(binary, '../../..', below)))
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', binary, configuration], {
    stdio: 'ignore',
    env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
  })
  await eventually('PgBouncer listens', () => isListening(port))
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${port}`
  return {
    url: url.href,
    async close() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** PGBOUNCER_BIN, on PATH, in the cache, or unpacked there from Debian's package (200 KB); otherwise null. Installs nothing. */
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
