import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentOf, findDebianProgram } from './debian-program.ts'
import { endServer, isListening, startOnFreePort } from './server-process.ts'

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
  const { port, child } = await startOnFreePort((candidate) => {
    const configuration = join(folder, `${candidate}.ini`)
    const all = { ...defaultSettings, listen_port: candidate, ...settings }
    writeFileSync(configuration, configurationOf(databaseUrl, all))
    return {
      name: 'PgBouncer',
      command: binary,
      args: [configuration],
      environment: environmentOf(binary),
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

/** The path of a PgBouncer, or null. See `findDebianProgram`. */
export function findPgBouncer(): string | null {
  return findDebianProgram({ name: 'pgbouncer', variable: 'PGBOUNCER_BIN' })
}
