import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { closeRun, openRun } from '../../../../scripts/run-records.mjs'
import { fireWhileWatching } from '../../src/demo/fire-while-watching.ts'
import { temporaryFolder } from '../stack/temporary-folder.ts'

/** A k6 that says when it runs, notes each SIGINT, and ends some time after the first. */
const fakeK6 = `#!/usr/bin/env node
const { appendFileSync, writeFileSync } = require('node:fs')
process.on('SIGINT', () => {
  appendFileSync(process.env.SUMMARY + '.asked', 'SIGINT ')
  setTimeout(() => {
    writeFileSync(process.env.SUMMARY, JSON.stringify({ metrics: {} }))
    process.exit(0)
  }, 300)
})
setInterval(() => undefined, 1000)
writeFileSync(process.env.SUMMARY + '.pid', String(process.pid))
`

function firing() {
  const root = temporaryFolder()
  const k6 = join(root, 'k6')
  writeFileSync(k6, fakeK6)
  chmodSync(k6, 0o755)
  const records = openRun(join(root, '.seatbelt'), 'fire-while-watching test')
  onTestFinished(() => closeRun(records))
  const stack = { run: records } as Parameters<typeof fireWhileWatching>[0]['stack']
  const target = { replicas: [], bookingReplicas: [], gatewayUrl: '', auditorUrl: '' }
  const signal = new AbortController().signal
  const summary = join(records.logs, 'k6-some-run.json')
  return { load: { root, k6, stack, target, run: 'some-run', name: 'some-load', signal }, summary }
}

async function untilItRuns(summary: string): Promise<number> {
  // The file is there before what is in it.
  const pid = () => (existsSync(`${summary}.pid`) ? Number(readFileSync(`${summary}.pid`, 'utf8')) : 0)
  while (pid() === 0) await sleep(10)
  return pid()
}

it('a load that is told to end twice is asked once, so that it still sums up', async () => {
  const { load, summary } = firing()
  const fired = await fireWhileWatching(load, async ({ over, endLoad }) => {
    await untilItRuns(summary)
    while (!over.aborted) {
      endLoad()
      await sleep(20, undefined, { signal: over }).catch(() => undefined)
    }
    return 'watched to the end'
  })
  expect(fired).toMatchObject({ outcome: 'passed', watched: 'watched to the end', summary: { crossed: [] } })
  expect(readFileSync(`${summary}.asked`, 'utf8')).toBe('SIGINT ')
})

it('a watcher that fails takes the load with it, without a word', async () => {
  const { load, summary } = firing()
  let pid = 0
  const failing = fireWhileWatching(load, async () => {
    pid = await untilItRuns(summary)
    throw new Error('the faults could not be done')
  })
  await expect(failing).rejects.toThrow('the faults could not be done')
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  expect(existsSync(`${summary}.asked`)).toBe(false)
})
