import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentOf, findDebianProgram } from './debian-program.ts'
import { endServer, isListening, startOnFreePort } from './server-process.ts'

/** A real HAProxy. */
export interface HaProxy {
  readonly port: number
  close(): Promise<void>
}

/** The path of an HAProxy, or null. See `findDebianProgram`. */
export function findHaProxy(): string | null {
  return findDebianProgram({ name: 'haproxy', variable: 'HAPROXY_BIN' })
}

/** Starts an HAProxy with the configuration for a port. `variables` are those that the configuration reads. */
export async function startHaProxy(
  binary: string,
  configurationFor: (port: number) => string,
  variables: Readonly<Record<string, string>>,
): Promise<HaProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-haproxy-'))
  const { port, child } = await startOnFreePort((candidate) => {
    const configuration = join(folder, `${candidate}.cfg`)
    writeFileSync(configuration, configurationFor(candidate))
    return {
      name: 'HAProxy',
      command: binary,
      args: ['-db', '-f', configuration],
      environment: { ...environmentOf(binary), ...variables },
      remedy: 'set HAPROXY_BIN',
      answers: isListening,
    }
  })
  return {
    port,
    async close() {
      await endServer(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
