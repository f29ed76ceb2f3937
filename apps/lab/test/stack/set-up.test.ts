import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { identify } from '../../../../scripts/process-groups.mjs'
import { setUp } from '../../../../scripts/set-up.mjs'
import { temporaryFolder } from './temporary-folder.ts'

it('does everything once, in order, and nothing the second time', async () => {
  const checkout = prepareCheckout()
  await checkout.setUp()
  expect(checkout.done()).toEqual(['install', 'generate', 'build'])
  expect(await checkout.setUp()).toEqual([])
  expect(checkout.done()).toEqual(['install', 'generate', 'build'])
})

it.each([
  ['apps/lab/src/main.ts', ['build']],
  ['prisma/schema.prisma', ['generate', 'build']],
  ['pnpm-lock.yaml', ['install', 'generate', 'build']],
])('after a change of %s does what depends on it: %j', async (path, again) => {
  const checkout = prepareCheckout()
  await checkout.setUp()
  writeFileSync(join(checkout.root, path), 'changed')
  await checkout.setUp()
  expect(checkout.done().slice(3)).toEqual(again)
})

it('two at once do it once', async () => {
  const checkout = prepareCheckout()
  await Promise.all([checkout.setUp(), checkout.setUp()])
  expect(checkout.done()).toEqual(['install', 'generate', 'build'])
})

it('a step that failed shows its last words, and is tried again', async () => {
  const checkout = prepareCheckout()
  writeFileSync(join(checkout.root, 'fail'), '')
  await expect(checkout.setUp()).rejects.toMatchObject({
    expected: true,
    message: expect.stringMatching(/"packages" failed \(exit code 1\).*no such registry.*needs the npm registry/s),
  })
  writeFileSync(join(checkout.root, 'fail'), 'no')
  await checkout.setUp()
  expect(checkout.done()).toEqual(['install', 'install', 'generate', 'build'])
})

it('interrupted, it leaves no process and counts nothing as done', async () => {
  const checkout = prepareCheckout()
  writeFileSync(join(checkout.root, 'hang'), '')
  const abort = new AbortController()
  const running = checkout.setUp(abort.signal)
  running.catch(() => undefined)
  const pidFile = join(checkout.root, 'hanging')
  await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8')).toMatch(/\d/)
  abort.abort('SIGINT')
  await expect(running).rejects.toBe('SIGINT')
  expect(identify(Number(readFileSync(pidFile, 'utf8')))).toBeNull()
  expect(existsSync(join(checkout.root, '.seatbelt/stamps/packages'))).toBe(false)
})

/** A checkout of files that say nothing, with tools that only note what they were asked for. */
function prepareCheckout() {
  const root = temporaryFolder()
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), text, { mode })
  }
  write('package.json', '{ "packageManager": "pnpm@0.0.0" }')
  write('apps/lab/package.json', '{}')
  write('apps/lab/src/main.ts', '')
  write('packages/database/package.json', '{}')
  write('loadtests/package.json', '{}')
  for (const path of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'prisma/schema.prisma', 'done']) write(path, '')
  write(
    'bin/npx',
    `#!/bin/sh
    case "$*" in
      "-y pnpm@0.0.0 install --frozen-lockfile")
        echo install >> done
        if [ -e fail ] && [ ! -s fail ]; then echo "no such registry"; exit 1; fi
        if [ -e hang ]; then echo $$ > hanging; while :; do sleep 0.1; done; fi
        mkdir -p node_modules apps/lab/node_modules
        touch node_modules/.modules.yaml;;
      "-y pnpm@0.0.0 exec turbo run build"*)
        echo build >> done
        mkdir -p apps/lab/dist
        touch apps/lab/dist/main.js;;
    esac`,
    0o755,
  )
  write(
    'node_modules/.bin/prisma',
    `#!/bin/sh
    echo generate >> done
    mkdir -p packages/database/src/generated
    touch packages/database/src/generated/client.ts`,
    0o755,
  )
  vi.stubEnv('PATH', `${join(root, 'bin')}:/usr/bin:/bin`)
  return {
    root,
    done: () => readFileSync(join(root, 'done'), 'utf8').split('\n').filter(Boolean),
    /** Resolves to what it said. */
    async setUp(signal: AbortSignal = new AbortController().signal) {
      const said: string[] = []
      await setUp({ root, signal, say: (text) => said.push(text) })
      return said
    },
  }
}
