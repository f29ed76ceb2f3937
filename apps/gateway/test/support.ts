import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLatch } from '@seatbelt/testing'
import supertest from 'supertest'
import { onTestFinished } from 'vitest'
import { createApp, createSimulator, developmentApiKey, type SimulatorOptions } from '../src/index.ts'

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'seatbelt-gateway-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export type Form = Record<string, string>

/** A simulator of one test, without latency, and the requests that tests make of it. */
export function openSimulator(options: Partial<SimulatorOptions> = {}) {
  const simulator = createSimulator({ ledgerPath: temporaryFolder(), latencyMs: 0, ...options })
  onTestFinished(() => simulator.close())
  const errors: unknown[] = []
  const app = createApp(simulator, { onError: (error) => errors.push(error) })
  const http = supertest(app)

  const post = (path: string, form: Form = {}, key?: string) => {
    const request = http.post(`/v1/payment_intents${path}`).auth(developmentApiKey, { type: 'bearer' }).type('form')
    return (key === undefined ? request : request.set('Idempotency-Key', key)).send(form)
  }
  return {
    simulator,
    http,
    errors,
    post,
    get: (path: string) => http.get(`/v1/payment_intents${path}`).auth(developmentApiKey, { type: 'bearer' }),
    async createIntent(more: Form = {}): Promise<string> {
      const { body } = await post('', { ...card, ...more }).expect(200)
      return body.id
    },
    async setFaults(faults: readonly object[], seed = 1): Promise<void> {
      await http.post('/_control/faults').send({ faults, seed }).expect(200)
    },
    types: () => simulator.books.entriesAfter(0, 1_000).entries.map((entry) => entry.type),
  }
}

export const card: Form = { amount: '1999', currency: 'eur', payment_method: 'pm_card_visa' }

/** Holds every request that comes to the given one of its two waits, until the gate is opened. */
export function createGate(at: 'before the effect' | 'after the effect', expected = 1) {
  const arrived = createLatch(`${expected} requests arrived ${at}`)
  const go = createLatch(`the gate ${at} was opened`)
  const wanted = at === 'before the effect' ? 0 : 1
  let isArmed = false
  let sleeps = 0
  let held = 0
  return {
    arrived,
    open: () => go.open(),
    arm() {
      isArmed = true
    },
    async sleep() {
      if (!isArmed) return
      // With one request under way its waits alternate; with several held before the effect, all are first waits.
      const isWanted = wanted === 0 ? held < expected : sleeps % 2 === 1
      sleeps += 1
      if (!isWanted) return
      held += 1
      if (held === expected) arrived.open()
      await go.wait()
    },
  }
}
