// Tools that run to their end: package manager, compiler, initdb, k6's build. (Servers: apps/lab/src/stack/supervisor.ts.)

import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { endGroup, spawnGroup } from './process-groups.mjs'

/** A step that says nothing for this long looks hung. */
const STILL_AT_IT_EVERY_MS = 15_000

/**
 * Runs a tool to its end; its output goes to `log`, or through to the terminal with `log: null`. Resolves to how it ended, also when it
 * could not be started. When `signal` is aborted the tool and all it started are ended, and the signal's reason is thrown.
 */
export async function runTool(program, args, { folder, log, environment = {}, signal, onStart, ...group }) {
  const output = log === null ? 'inherit' : openLog(log)
  const child = spawnGroup(program, args, {
    ...group,
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', output, output],
  })
  if (log !== null) closeSync(output)
  if (child.pid !== undefined) onStart?.(child.pid)
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve({ exitCode: null, outcome: error.message }))
    child.once('exit', (exitCode, killedBy) => {
      resolve({ exitCode, outcome: exitCode === null ? `killed by ${killedBy}` : `exit code ${exitCode}` })
    })
  })
  let stopped
  const stop = () => {
    if (child.pid !== undefined) stopped = endGroup(child.pid)
  }
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  const outcome = await ended
  signal?.removeEventListener('abort', stop)
  // What it ran may take longer to end than the tool itself.
  await stopped
  signal?.throwIfAborted()
  return outcome
}

function openLog(path) {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, 'w')
}

/** Says what is being done and why it may take long, that it is still being done, and how long it took. */
export async function withProgress(say, what, work) {
  const startedAtMs = performance.now()
  const seconds = () => `${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s`
  say(`${what} ...`)
  const stillAtIt = setInterval(() => say(`still at it (${seconds()})`), STILL_AT_IT_EVERY_MS)
  try {
    const result = await work()
    say(`done in ${seconds()}`)
    return result
  } finally {
    clearInterval(stillAtIt)
  }
}

/** The end of a log, for a message about a failure. */
export function lastLines(path, count = 30) {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
  } catch {
    return '(no output)'
  }
}
