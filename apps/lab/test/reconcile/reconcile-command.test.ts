import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { unknownReport } from '@seatbelt/worker'

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { reconcile } from '../../src/commands/reconcile.ts'
import { temporaryFolder } from '../stack/temporary-folder.ts'
import { sampleReport } from './sample-report.ts'

beforeEach(() => void vi.stubEnv('GATEWAY_URL', 'http://127.0.0.1:1'))
afterEach(() => void vi.unstubAllEnvs())

/**
 * A checkout whose program is a stand-in: the first copy has the run, writes its report and ends when it is told to; the others
 * find the run taken.
 */
function checkout() {
  const root = temporaryFolder()
  const dist = join(root, 'apps/worker/dist')
  mkdirSync(dist, { recursive: true })
  const held = JSON.stringify(sampleReport({ findings: [] }))
  const refused = JSON.stringify(unknownReport('worker-1 is at it', new Date()))
  writeFileSync(
    join(dist, 'reconcile.js'),
    `const { existsSync, writeFileSync } = require('node:fs')
const path = process.argv[process.argv.indexOf('--report') + 1]
const taken = ${JSON.stringify(join(root, 'written'))}
const holds = !existsSync(taken)
writeFileSync(path, holds ? ${JSON.stringify(held)} : ${JSON.stringify(refused)})
process.exitCode = holds ? 0 : 2
if (holds) {
  writeFileSync(taken, '')
  const timer = setInterval(() => existsSync(${JSON.stringify(join(root, 'may-end'))}) && clearInterval(timer), 10)
}`,
  )
  return { root, reports: join(root, '.seatbelt/reports') }
}

async function act(root: string) {
  const said: string[] = []
  const exitCode = await reconcile({
    root,
    act: true,
    signal: new AbortController().signal,
    say: (text) => said.push(text),
  })
  return { exitCode, said: said.join('\n') }
}

it('of two at once, the one that finds the run taken neither takes, replaces nor names the report of the other', async () => {
  const { root, reports } = checkout()
  const winner = act(root)
  await vi.waitFor(() => expect(existsSync(join(root, 'written'))).toBe(true), { timeout: 10_000 })
  const loser = await act(root)
  expect(loser.exitCode).toBe(2)
  expect(loser.said).toBe('No report was written: worker-1 is at it.')
  expect(existsSync(join(reports, 'reconciliation.html'))).toBe(false)

  writeFileSync(join(root, 'may-end'), '')
  const { exitCode, said } = await winner
  expect(exitCode).toBe(0)
  expect(said).toContain('reconciliation.html')
  expect(JSON.parse(readFileSync(join(reports, 'reconciliation.json'), 'utf8'))).toMatchObject({ verdict: 'valid' })

  expect((await act(root)).exitCode).toBe(2)
  expect(JSON.parse(readFileSync(join(reports, 'reconciliation.json'), 'utf8'))).toMatchObject({ verdict: 'valid' })
})
