import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { identify } from '../../../../scripts/process-groups.mjs'
import { describeOther } from '../../src/commands/start.ts'
import { findCurrentStack, forgetCurrentStack, noteCurrentStack } from '../../src/stack/current-stack.ts'
import { temporaryFolder } from './temporary-folder.ts'

const stack = (port: number) => ({
  replicas: [`http://127.0.0.1:${port}`],
  bookingReplicas: ['http://127.0.0.1:4'],
  ...{
    gatewayUrl: 'http://127.0.0.1:2',
    auditorUrl: 'http://127.0.0.1:3',
    databaseUrl: 'postgresql://x',
    redisUrls: [],
  },
})

function checkout(): string {
  const root = temporaryFolder()
  mkdirSync(join(root, '.seatbelt'))
  return root
}

/** A stack that somebody else keeps in this checkout. */
async function noteOfAnother(root: string) {
  const owner = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log("up")'], { stdio: 'pipe' })
  onTestFinished(() => void owner.kill('SIGKILL'))
  await once(owner.stdout, 'data')
  const pid = owner.pid ?? 0
  const text = JSON.stringify({ pid, identity: identify(pid), ...stack(1) })
  writeFileSync(join(root, '.seatbelt/current.json'), text)
  const end = async () => {
    owner.kill('SIGKILL')
    await once(owner, 'exit')
  }
  return { pid, text, end }
}

const noteIn = (root: string) => readFileSync(join(root, '.seatbelt/current.json'), 'utf8')

it('the first stack of a checkout is the one that commands mean, also after a second one has come and gone', async () => {
  const root = checkout()
  const first = await noteOfAnother(root)
  const other = noteCurrentStack(root, stack(7))
  expect(other?.pid).toBe(first.pid)
  expect(noteIn(root)).toBe(first.text)
  forgetCurrentStack(root)
  expect(noteIn(root)).toBe(first.text)
  expect(findCurrentStack(root)?.replicas).toEqual(['http://127.0.0.1:1'])
  expect(other && describeOther(other)).toMatch(
    /npm run load, review and reconcile mean .*process \d+.* http:\/\/127\.0\.0\.1:1/,
  )
})

it('the note of a stack that was killed is replaced, and one’s own is taken away at the end', async () => {
  const root = checkout()
  const first = await noteOfAnother(root)
  await first.end()
  expect(noteCurrentStack(root, stack(7))).toBeNull()
  expect(findCurrentStack(root)?.replicas).toEqual(['http://127.0.0.1:7'])
  forgetCurrentStack(root)
  expect(findCurrentStack(root)).toBeNull()
  expect(() => noteIn(root)).toThrow('ENOENT')
})
