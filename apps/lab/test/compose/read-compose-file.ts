import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'

export const root = resolve(import.meta.dirname, '../../../..')

/** What is looked at of a service, after anchors are merged and variables filled in. */
export interface ComposeService {
  readonly image: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string | null>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly profiles?: readonly string[]
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean }
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly mem_limit?: string
  readonly cpus?: number
  readonly pids_limit?: number
  readonly restart?: string
  readonly stop_grace_period?: string
  readonly network_mode?: string
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes: Readonly<Record<string, unknown>>
}

export function readText(path: string): string {
  return readFileSync(resolve(root, path), 'utf8')
}

/** docker-compose.yml as `docker compose` sees it where no variable is set. */
export function readComposeFile(): ComposeFile {
  return parse(interpolate(readText('docker-compose.yml')), { merge: true }) as ComposeFile
}

/** The variables that docker-compose.yml reads from .env and the shell, with their defaults; null: none, they are handed on. */
export function readInterpolations(): Map<string, string | null> {
  const text = readText('docker-compose.yml')
  const found = new Map<string, string | null>()
  for (const [, name = '', fallback = ''] of text.matchAll(interpolation)) {
    const known = found.get(name)
    if (known !== undefined && known !== fallback) throw new Error(`${name} has two defaults: ${known} and ${fallback}`)
    found.set(name, fallback)
  }
  for (const { environment = {} } of Object.values(readComposeFile().services)) {
    for (const [name, value] of Object.entries(environment)) if (value === null) found.set(name, null)
  }
  return found
}

const interpolation = /\$\{([A-Z_]+):-([^}]*)\}/g

function interpolate(text: string): string {
  const filled = text.replace(interpolation, (_, _name, fallback: string) => fallback)
  const left = /(?<!\$)\$(?!\$)\S*/.exec(filled.replace(/^\s*#.*$/gm, ''))
  if (left) throw new Error(`this reader knows no interpolation such as ${left[0]}`)
  return filled
}
