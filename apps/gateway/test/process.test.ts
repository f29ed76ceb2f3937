import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { developmentApiKey } from '../src/index.ts'
import { temporaryFolder } from './support.ts'

interface Running {
  readonly process: ChildProcess
  readonly url: string
}

async function startProcess(ledgerPath: string): Promise<Running> {
  const main = join(import.meta.dirname, '../src/main.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    cwd: join(import.meta.dirname, '../../..'),
    env: { ...process.env, PORT: '0', EXIT_WITH_PARENT: '1', GATEWAY_LEDGER_PATH: ledgerPath, GATEWAY_LATENCY_MS: '0' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port } = JSON.parse(line)
    if (msg === 'listening') {
      child.stdout.resume()
      return { process: child, url: `http://127.0.0.1:${port}` }
    }
  }
  throw new Error('The gateway ended before it listened')
}

async function exitOf({ process }: Running): Promise<[number | null, string | null]> {
  const [code, signal] = await once(process, 'exit')
  return [code, signal]
}

async function createIntent({ url }: Running, key: string): Promise<{ id: string }> {
  const answer = await fetch(`${url}/v1/payment_intents`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${developmentApiKey}`, 'Idempotency-Key': key },
    body: new URLSearchParams({ amount: '1999', currency: 'eur', payment_method: 'pm_card_visa' }),
  })
  expect(answer.status).toBe(200)
  return (await answer.json()) as { id: string }
}

describe('the process', { timeout: 30_000 }, () => {
  it('is ready, ends with 0 on SIGTERM, and with its parent', async () => {
    const first = await startProcess(temporaryFolder())
    expect((await fetch(`${first.url}/readyz`)).status).toBe(200)
    const firstExit = exitOf(first)
    first.process.kill('SIGTERM')
    expect(await firstExit).toEqual([0, null])

    const second = await startProcess(temporaryFolder())
    const secondExit = exitOf(second)
    second.process.stdin?.destroy()
    expect(await secondExit).toEqual([0, null])
  })

  it('knows after a SIGKILL everything that it had answered', async () => {
    const ledgerPath = temporaryFolder()
    const before = await startProcess(ledgerPath)
    const { id } = await createIntent(before, 'k1')
    const exit = exitOf(before)
    before.process.kill('SIGKILL')
    expect(await exit).toEqual([null, 'SIGKILL'])

    const after = await startProcess(ledgerPath)
    expect((await createIntent(after, 'k1')).id).toBe(id)
    expect((await createIntent(after, 'k2')).id).not.toBe(id)
  })
})
