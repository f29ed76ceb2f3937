import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { withFolderLock } from '../../../../scripts/folder-lock.mjs'
import { temporaryFolder } from './temporary-folder.ts'

const script = resolve(import.meta.dirname, '../../../../scripts/folder-lock.mjs')

it('lets one process in at a time', async () => {
  const lock = join(temporaryFolder(), 'lock')
  const holder = await startHolder(lock)
  let waited = false
  const onWait = () => {
    waited = true
  }
  const entered = withFolderLock(lock, { onWait }, async () => existsSync(`${lock}.done`))
  // The holder leaves only once it has been told to, which happens after the other one has begun to wait.
  await expect.poll(() => waited).toBe(true)
  holder.stdin.end()
  expect(await entered).toBe(true)
  expect(existsSync(lock)).toBe(false)
})

it('does not wait for a holder that was killed', async () => {
  const lock = join(temporaryFolder(), 'lock')
  const holder = await startHolder(lock)
  const ended = once(holder, 'exit')
  holder.kill('SIGKILL')
  await ended
  expect(existsSync(lock)).toBe(true)
  expect(await withFolderLock(lock, {}, async () => 'entered')).toBe('entered')
})

it('is given back when the work fails, and given up when the signal is aborted', async () => {
  const lock = join(temporaryFolder(), 'lock')
  const failing = withFolderLock(lock, {}, async () => {
    throw new Error('no network')
  })
  await expect(failing).rejects.toThrow('no network')
  expect(existsSync(lock)).toBe(false)

  await startHolder(lock)
  const abort = new AbortController()
  const waiting = withFolderLock(
    lock,
    { signal: abort.signal, onWait: () => abort.abort('SIGINT') },
    async () => 'entered',
  )
  await expect(waiting).rejects.toBe('SIGINT')
})

/** Another process that holds the lock until its stdin ends; `<lock>.done` is the last it does before it lets go. */
async function startHolder(lock: string) {
  const program = `
    import { writeFileSync } from 'node:fs'
    import { withFolderLock } from '${script}'
    await withFolderLock(${JSON.stringify(lock)}, {}, async () => {
      console.log('held')
      for await (const _ of process.stdin);
      writeFileSync(${JSON.stringify(`${lock}.done`)}, '')
    })`
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return holder
}
