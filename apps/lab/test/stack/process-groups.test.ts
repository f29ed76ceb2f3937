import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { endGroup, identify, signalGroup } from '../../../../scripts/process-groups.mjs'
import { runTool } from '../../../../scripts/run-tool.mjs'
import { temporaryFolder } from './temporary-folder.ts'

it('a group is not ended for somebody who is not its leader any more', async () => {
  const stranger = spawn('sleep', ['600'], { stdio: 'ignore', detached: true })
  const pid = stranger.pid ?? 0
  onTestFinished(() => void signalGroup(pid, 'SIGKILL'))
  const identity = identify(pid)
  await endGroup(pid, { identity: `${identity}0` })
  expect(identify(pid)).toBe(identity)
  await endGroup(pid, { identity })
  expect(identify(pid)).toBeNull()
})

it('an interrupted tool is over when what it runs is over, though it goes first itself', async () => {
  const folder = temporaryFolder()
  const abort = new AbortController()
  // As npx does: the one that was started ends at once, the one that does the work needs a moment to tidy up.
  const worker = `trap 'sleep 0.3; echo tidied > tidied; exit' TERM; echo $$ > worker; while :; do sleep 0.02; done`
  const leader = `trap 'exit 0' TERM; sh -c "$WORKER" & wait`
  const running = runTool('sh', ['-c', leader], {
    folder,
    log: join(folder, 'log'),
    environment: { WORKER: worker },
    signal: abort.signal,
  })
  running.catch(() => undefined)
  await expect
    .poll(() => existsSync(join(folder, 'worker')) && readFileSync(join(folder, 'worker'), 'utf8'))
    .toMatch(/\d/)
  const pid = Number(readFileSync(join(folder, 'worker'), 'utf8'))
  expect(identify(pid)).not.toBeNull()

  abort.abort('SIGINT')
  await expect(running).rejects.toBe('SIGINT')
  expect(existsSync(join(folder, 'tidied'))).toBe(true)
  expect(identify(pid)).toBeNull()
})

it('a tool that cannot be started, or fails, is an outcome and no exception', async () => {
  const folder = temporaryFolder()
  const options = { folder, log: join(folder, 'log') }
  expect(await runTool('sh', ['-c', 'exit 7'], options)).toEqual({ exitCode: 7, outcome: 'exit code 7' })
  expect((await runTool('/no/such/tool', [], { ...options, bindToParent: false })).outcome).toContain('ENOENT')
})
