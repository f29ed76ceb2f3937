// What must happen before there are any dependencies: read the command, set up what it needs, and hand over to apps/lab, which
// runs in this same process, so that one process stands between the terminal's Ctrl-C and everything that was started.

import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { clean } from './clean.mjs'
import { readCommandLine, usage } from './command-line.mjs'
import { findLoadTest, listLoadTests } from './load-tests.mjs'
import { endAllGroups } from './process-groups.mjs'
import { setUp } from './set-up.mjs'

const root = resolve(import.meta.dirname, '..')

/**
 * A Ctrl-C arrives twice: from the terminal, and again from npm, which passes it on. So only a signal that comes later than this
 * is somebody who does not want to wait any longer.
 */
const IMPATIENCE_AFTER_MS = 1_000

export async function bootstrap(argv) {
  const asked = readCommandLine(argv)
  if (asked.kind === 'help') return print(usage)
  if (asked.kind === 'mistake') return refuse(`${asked.reason}\n\n${usage}`)
  const interruption = listenForSignals()
  // A terminal that was closed, or a `| head` that has seen enough, must not take the orderly stop away.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  process.exit(await runCommand(asked, interruption))
}

async function runCommand({ command, options }, interruption) {
  try {
    if (command === 'clean') return await clean({ root, cache: options.cache === true, say: console.log })
    if (command === 'load') {
      if (options.name === undefined) return print(listLoadTests(root))
      if (findLoadTest(root, options.name) === null) {
        return refuse(`There is no load test "${options.name}".\n\n${listLoadTests(root)}`)
      }
    }
    await setUp({ root, signal: interruption, say: console.log })
    const program = command === 'bench' ? 'bench/dist/main.js' : 'apps/lab/dist/main.js'
    const { main } = await import(pathToFileURL(join(root, program)).href)
    return await main({ command, options, root, signal: interruption })
  } catch (error) {
    await endAllGroups()
    if (interruption.aborted) return exitCodeOf(interruption.reason)
    process.stderr.write(`\n${error.expected === true ? error.message : (error.stack ?? error)}\n`)
    return 1
  }
}

/** Aborted by the first signal; its reason is the signal's name. */
function listenForSignals() {
  const controller = new AbortController()
  let firstAtMs = 0
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      if (!controller.signal.aborted) {
        firstAtMs = performance.now()
        process.stderr.write('\nStopping everything that was started ...\n')
        controller.abort(name)
      } else if (performance.now() - firstAtMs > IMPATIENCE_AFTER_MS) {
        // The exit hook kills what is left; the next start clears its folders away.
        process.exit(exitCodeOf(name))
      }
    })
  }
  return controller.signal
}

function exitCodeOf(signalName) {
  return 128 + (constants.signals[signalName] ?? 0)
}

function print(text) {
  process.stdout.write(text)
  return 0
}

function refuse(text) {
  process.stderr.write(text)
  process.exitCode = 2
  return 2
}
