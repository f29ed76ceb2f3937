import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStranger, type Stranger } from '../../../packages/payments/test/reconcile-support.ts'
import { openPaid } from '../../../packages/payments/test/refund-support.ts'
import { openShop, type Replica, type Shop } from '../../../packages/payments/test/shop.ts'
import type { ReconciliationReport } from '../src/index.ts'
import { readArguments } from '../src/reconcile/read-arguments.ts'

let shop: Shop
let api: Replica
let stranger: Stranger
let folder: string
beforeAll(async () => {
  shop = await openShop()
  api = await shop.replica('api-1')
  stranger = openStranger(shop)
  folder = await mkdtemp(join(tmpdir(), 'seatbelt-reconcile-'))
})
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
  await rm(folder, { recursive: true })
})

/** The program itself, with what `npm run reconcile` gives it. */
async function run(args: readonly string[], environment: Record<string, string> = {}) {
  const main = fileURLToPath(new URL('../src/reconcile/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...{ PATH: process.env.PATH, DATABASE_URL: shop.databaseUrl, GATEWAY_URL: shop.gatewayUrl },
      ...{ REDIS_URLS: process.env.TEST_REDIS_URL, GATEWAY_API_KEY: 'sk_test_dev_only' },
      ...environment,
    },
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (output.stdout += chunk))
  child.stderr.on('data', (chunk) => (output.stderr += chunk))
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, ...output }
}

/** As if an hour had passed, in the only place where it is told. */
async function letChargesAge(): Promise<void> {
  await shop.sql('ALTER TABLE payments DISABLE TRIGGER USER')
  await shop.sql(`UPDATE payments SET settled_at = settled_at - interval '1 hour' WHERE settled_at IS NOT NULL`)
  await shop.sql('ALTER TABLE payments ENABLE TRIGGER USER')
}

// Each starts a process of its own, and one of them waits for a gateway that is away.
describe('npm run reconcile', { timeout: 120_000 }, () => {
  it('ends with 0 where nothing is old enough, but does not say that nothing differs', async () => {
    await openPaid(api)
    const path = join(folder, 'young.json')
    const { exitCode, stdout } = await run(['--report', path])
    expect(stdout).toMatch(/^Nothing was old enough to be judged\.\n {2}from 20\S+Z to 20\S+Z\n/)
    expect(stdout).toContain('what is younger than 19 minutes was not judged')
    expect(stdout).not.toContain('Nothing differs')
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ compared: { judged: 0, judgedAfterMinutes: 19 } })
    expect(exitCode).toBe(0)
  })

  it('ends with 0 where nothing differs, and says what was compared', async () => {
    await openPaid(api)
    await letChargesAge()
    const { exitCode, stdout, stderr } = await run([])
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^Nothing differs\.\n {2}from 20\S+Z to 20\S+Z\n/)
    expect(stdout).toContain('what is younger than 19 minutes was not judged')
    expect(exitCode).toBe(0)
  })

  it('ends with 1 where something does, in words and in a report, and with 2 where the gateway is away', async () => {
    const { paymentId } = await openPaid(api)
    await shop.sql('ALTER TABLE payments DISABLE TRIGGER USER')
    await shop.sql(`UPDATE payments SET gateway_intent_id = 'pi_gone', gateway_charge_id = 'ch_gone' WHERE id = $1`, [
      paymentId,
    ])
    await shop.sql('ALTER TABLE payments ENABLE TRIGGER USER')
    await letChargesAge()
    const path = join(folder, 'report.json')
    const { exitCode, stdout } = await run(['--report', path])
    expect(stdout).toMatch(/^1 of 1 differences stand\./)
    expect(stdout).toContain('Missing at the gateway: Our books show a payment that the gateway')
    expect(stdout).toContain(`payment ${paymentId}`)
    expect(exitCode).toBe(1)
    const report = JSON.parse(await readFile(path, 'utf8')) as ReconciliationReport
    expect(report).toMatchObject({ verdict: 'invalid', standing: 1, findings: [{ kind: 'missing', stands: true }] })

    await shop.faults({ on: 'list-charges', kind: 'error-before', rate: 1 })
    const away = await run(['--json'])
    await shop.faults()
    expect(away.exitCode).toBe(2)
    expect(JSON.parse(away.stdout)).toMatchObject({
      verdict: 'unknown',
      reasons: ["the gateway's answer was of no use (server-error)"],
    })
  })

  it('ends with 2 for words that it does not know, before it asks anybody', async () => {
    expect(await run(['--atc'])).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

describe('the words', () => {
  it('take a day or a time with its zone', () => {
    const { request } = readArguments(['--from', '2026-11-01', '--to', '2026-11-02T08:00:00+01:00'])
    expect(request).toEqual({
      mode: 'report',
      from: new Date('2026-11-01T00:00:00Z'),
      to: new Date('2026-11-02T07:00:00Z'),
    })
    const acting = readArguments(['--act', '--as', 'Ada', '--reason', 'ticket 7'])
    expect(acting).toMatchObject({ request: { mode: 'act' }, operator: { name: 'Ada', reason: 'ticket 7' } })
  })

  it.each(['yesterday', '11/01/2026', '2026-11-01T08:00:00', '2026-13-01', '1'])('do not take %s', (text) => {
    expect(() => readArguments(['--from', text])).toThrow('--from must be a day or a time')
  })
})
