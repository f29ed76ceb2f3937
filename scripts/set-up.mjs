// From a fresh clone to programs that run: packages, the Prisma client, the bundles. Each step is skipped while the hash of
// everything it depends on is the one it last succeeded with.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { withFolderLock } from './folder-lock.mjs'
import { closeRun, openRun, reapAbandonedRuns, recordProcess } from './run-records.mjs'
import { lastLines, runTool, withProgress } from './run-tool.mjs'

/**
 * Does what is not done yet, one process at a time per checkout. Rejects with an `expected` error that a person can act on, and when
 * `signal` is aborted; either way no process is left.
 */
export async function setUp({ root, signal, say }) {
  const state = join(root, '.seatbelt')
  const onWait = () => say('set-up      waiting for another run of this checkout to finish it')
  await withFolderLock(join(state, 'set-up.lock'), { signal, onWait }, async () => {
    for (const step of describeSteps(root)) {
      signal.throwIfAborted()
      const stamp = join(state, 'stamps', step.name)
      const inputs = hashFiles(root, step.inputs())
      if (step.isDone() && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) continue
      await runStep(step, { root, state, signal, say })
      mkdirSync(dirname(stamp), { recursive: true })
      // The inputs as they were before: what was edited meanwhile is done again next time.
      writeFileSync(stamp, inputs)
    }
  })
}

function describeSteps(root) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const pnpm = ['-y', packageManager]
  const manifests = () => ['package.json', ...workspaceFolders(root).map((folder) => `${folder}/package.json`)]
  const bundled = workspaceFolders(root).filter((folder) => existsSync(join(root, folder, 'src/main.ts')))
  return [
    {
      name: 'packages',
      why: 'installing what pnpm-lock.yaml names (some 20 s with a good network)',
      inputs: () => ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc', ...manifests()],
      isDone: () =>
        existsSync(join(root, 'node_modules/.modules.yaml')) && existsSync(join(root, 'apps/lab/node_modules')),
      command: ['npx', ...pnpm, 'install', '--frozen-lockfile'],
      // Without a terminal pnpm asks nobody whether it may replace what a plain `npm install` left.
      environment: { CI: 'true' },
      hint: 'This step needs the npm registry. Behind a proxy, set HTTPS_PROXY.',
    },
    {
      name: 'prisma',
      why: 'generating the database client',
      inputs: () => ['pnpm-lock.yaml', 'prisma.config.ts', 'prisma/schema.prisma'],
      isDone: () => existsSync(join(root, 'packages/database/src/generated/client.ts')),
      command: [join(root, 'node_modules/.bin/prisma'), 'generate'],
      environment: {
        // `generate` does not use the engine that the command line would download first; any program will do.
        PRISMA_SCHEMA_ENGINE_BINARY: existsSync('/bin/true') ? '/bin/true' : '/usr/bin/true',
        PRISMA_HIDE_UPDATE_MESSAGE: 'true',
        // Its update check runs in a process of its own, which would outlive it.
        CHECKPOINT_DISABLE: '1',
      },
    },
    {
      name: 'build',
      why: 'bundling the services',
      inputs: () => [
        ...['pnpm-lock.yaml', 'turbo.json', 'tsconfig.base.json', 'scripts/bundle.mjs', ...manifests()],
        ...listFiles(root, 'prisma'),
        // The table of loads, which the lab reads too.
        ...listFiles(root, 'loadtests/lib'),
        ...listFiles(root, 'scripts').filter((path) => !path.endsWith('.d.mts')),
        ...workspaceFolders(root).flatMap((folder) => listFiles(root, `${folder}/src`)),
      ],
      isDone: () => bundled.every((folder) => existsSync(join(root, folder, 'dist/main.js'))),
      command: ['npx', ...pnpm, 'exec', 'turbo', 'run', 'build', '--output-logs=errors-only'],
      environment: { TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1', CI: 'true' },
    },
  ]
}

/** A step is a run of its own, so that `npm run clean` can stop it, and the next start what a killed one left. */
async function runStep({ name, why, command, environment, hint }, { root, state, signal, say }) {
  await reapAbandonedRuns(state)
  const run = openRun(state, `set-up: ${name}`)
  const log = join(state, 'set-up', `${name}.log`)
  const [program, ...args] = command
  const onStart = (pid) => recordProcess(run, name, { pid })
  // Not bound to this process: `npx` alone would die with it, and its group could not be found by its leader any more.
  const options = { folder: root, log, environment, signal, onStart, bindToParent: false }
  try {
    await withProgress(
      (text) => say(`set-up      ${name}: ${text}`),
      why,
      async () => {
        const { outcome } = await runTool(program, args, options)
        if (outcome !== 'exit code 0') throw failure(name, outcome, log, hint)
      },
    )
  } finally {
    closeRun(run)
  }
}

function failure(name, outcome, log, hint) {
  const text = [`The set-up step "${name}" failed (${outcome}). The end of ${log}:`, '', lastLines(log), '', hint ?? '']
  return Object.assign(new Error(text.join('\n').trimEnd()), { expected: true })
}

function workspaceFolders(root) {
  const parents = ['apps', 'packages', 'bench/peers'].filter((parent) => existsSync(join(root, parent)))
  const grouped = parents.flatMap((parent) => readdirSync(join(root, parent)).map((name) => `${parent}/${name}`))
  return [...grouped, 'loadtests', 'bench'].filter((folder) => existsSync(join(root, folder, 'package.json')))
}

function listFiles(root, folder) {
  if (!existsSync(join(root, folder))) return []
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
}

/** Name and content of each file; one that is missing counts as such. */
function hashFiles(root, paths) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${process.versions.modules}\n`)
  for (const path of [...new Set(paths)].sort()) {
    const content = existsSync(join(root, path)) ? readFileSync(join(root, path)) : 'missing'
    hash.update(`${path} ${createHash('sha256').update(content).digest('hex')}\n`)
  }
  return hash.digest('hex')
}
