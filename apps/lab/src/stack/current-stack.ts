import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { identify } from '../../../../scripts/process-groups.mjs'

const schema = z.object({
  /** Who supervises it, so that the note of a killed stack is not believed. */
  pid: z.int(),
  identity: z.string(),
  replicas: z.array(z.url()),
  bookingReplicas: z.array(z.url()),
  gatewayUrl: z.url(),
  auditorUrl: z.url(),
  databaseUrl: z.string(),
  redisUrls: z.array(z.string()),
})

/** Where the stack that runs for use by hand can be reached. */
export type CurrentStack = z.infer<typeof schema>

/** What a load test needs to know of a stack; that of this process and that of another one both have it. */
export interface StackAddresses {
  /** Of payments-api. */
  readonly replicas: readonly string[]
  readonly bookingReplicas: readonly string[]
  readonly gatewayUrl: string
  readonly auditorUrl: string
}

/** What the operator's commands need besides. */
export interface StackStores {
  readonly databaseUrl: string
  readonly redisUrls: readonly string[]
}

/**
 * Notes the stack, so that `npm run load` in another terminal finds it, and `npm run review`. Where one of another process is noted
 * and runs, that note stays, and is returned: whoever works with it must not suddenly be led to another stack, or to none.
 */
export function noteCurrentStack(root: string, stack: StackAddresses & StackStores): CurrentStack | null {
  const other = findCurrentStack(root)
  if (other !== null && other.pid !== process.pid) return other
  const { replicas, bookingReplicas, gatewayUrl, auditorUrl, databaseUrl, redisUrls } = stack
  const addresses = { replicas, bookingReplicas, gatewayUrl, auditorUrl, databaseUrl, redisUrls }
  const note = { pid: process.pid, identity: identify(process.pid), ...addresses }
  // The database may be one that was given, with its password in the address.
  writeFileSync(`${notePath(root)}.new`, `${JSON.stringify(note, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${notePath(root)}.new`, notePath(root))
  return null
}

/** Removes the note if it is still about the stack of this process. */
export function forgetCurrentStack(root: string): void {
  if (findCurrentStack(root)?.pid === process.pid) rmSync(notePath(root), { force: true })
}

/** The stack that is running by hand, or null. */
export function findCurrentStack(root: string): CurrentStack | null {
  try {
    const note = schema.parse(JSON.parse(readFileSync(notePath(root), 'utf8')))
    return identify(note.pid) === note.identity ? note : null
  } catch {
    return null
  }
}

function notePath(root: string): string {
  return join(root, '.seatbelt/current.json')
}
