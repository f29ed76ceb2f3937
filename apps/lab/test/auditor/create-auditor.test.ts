import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLatch } from '@seatbelt/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createAuditor } from '../../src/auditor/create-auditor.ts'
import { createMeetingPlace } from '../../src/auditor/meeting-place.ts'
import { createRunStore } from '../../src/auditor/run-store.ts'
import { cleanHistory, paidOrder } from './history.ts'
import { wholeHistory } from './whole-history.ts'

const history = cleanHistory([paidOrder(1)])
const batch = { sender: 'vu-1', number: 1, attempts: history.attempts }

let url: string
let close: () => Promise<void>
let books: () => Promise<typeof history.books>

beforeEach(async () => {
  books = async () => history.books
  const app = createAuditor({
    runs: createRunStore({ attempts: 10, runs: 8 }),
    meetings: createMeetingPlace({ waitMs: 1 }),
    summonWitnesses: async () => ({
      since: new Date(0),
      ledger: { entries: history.ledger, catchUp: async () => 0 },
      mail: null,
      countUnsettled: async () => 0,
      readBooks: () => books(),
    }),
    onError: () => undefined,
  })
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  close = () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
})

afterEach(() => close())

it('takes attempts, tells of them, judges them, and remembers the verdict', async () => {
  expect(await post('/runs/r/attempts', batch)).toMatchObject({ status: 202 })
  expect(await get('/runs/r')).toMatchObject({ body: { attempts: 3, orders: 1, verdict: null } })
  expect(await post('/runs/r/verdict', {})).toMatchObject({ status: 200, body: { run: 'r', verdict: 'valid' } })
  expect(await get('/runs/r')).toMatchObject({ body: { verdict: { verdict: 'valid' } } })
})

it('refuses attempts that it could not judge by, and what is too much for it', async () => {
  expect(
    await post('/runs/r/attempts', { ...batch, attempts: [{ ...batch.attempts[0], outcome: 'perhaps' }] }),
  ).toMatchObject({
    status: 400,
  })
  expect(await post('/runs/r/attempts', { ...batch, attempts: [] })).toMatchObject({ status: 400 })
  const many = Array.from({ length: 11 }, () => batch.attempts[0])
  expect(await post('/runs/r/attempts', { ...batch, attempts: many })).toMatchObject({ status: 507 })
  expect(await post('/runs/r/attempts', 'x'.repeat(3_000_000))).toMatchObject({ status: 413 })
})

it('takes attempts about seats as well, and refuses what it could not judge by', async () => {
  const seats = { sender: 'vu-1-seats', number: 1, attempts: wholeHistory([]).seats.attempts }
  expect(await post('/runs/r/seat-attempts', seats)).toMatchObject({ status: 202 })
  expect(await get('/runs/r')).toMatchObject({ body: { attempts: 0, seatAttempts: 8, orders: 0 } })
  expect(await post('/runs/r/seat-attempts', { ...seats, number: 2 })).toMatchObject({ status: 507 })
  const [first] = seats.attempts
  const unreadable = [
    { ...first, operation: 'steal' },
    { ...first, hold: { ...first?.hold, expiresAt: 'soon' } },
    { ...first, seatIds: Array.from({ length: 11 }, () => 'seat') },
  ]
  for (const attempt of unreadable) {
    expect(await post('/runs/r/seat-attempts', { ...seats, attempts: [attempt] })).toMatchObject({ status: 400 })
  }
})

it('knows nothing of a run that nobody told it of', async () => {
  expect(await get('/runs/r')).toMatchObject({ status: 404 })
  expect(await post('/runs/r/verdict', {})).toMatchObject({ status: 404 })
})

it('takes what a run expects: what it names must have been there to look at', async () => {
  await post('/runs/r/attempts', batch)
  expect(await post('/runs/r/verdict', { expects: ['I1', 'I9'] })).toMatchObject({
    body: { verdict: 'unknown', reason: 'nothing to check for I9' },
  })
  expect(await post('/runs/r/verdict', { expects: ['I1'] })).toMatchObject({ body: { verdict: 'valid' } })
  expect(await post('/runs/r/verdict', { expects: ['I99'] })).toMatchObject({ status: 400 })
})

it('takes what was done to the system, of a run that it knows', async () => {
  const killed = { what: 'worker-1 was killed', messageIds: ['message-1'] }
  expect(await post('/runs/r/disturbances', killed)).toMatchObject({ status: 404 })
  await post('/runs/r/attempts', batch)
  expect(await post('/runs/r/disturbances', killed)).toMatchObject({ status: 202 })
  expect(await post('/runs/r/disturbances', { what: 'x', messageIds: 'all' })).toMatchObject({ status: 400 })
})

it('judges a run once at a time', async () => {
  await post('/runs/r/attempts', batch)
  const [reading, mayGoOn] = [createLatch('the books are being read'), createLatch('the reading may go on')]
  books = async () => {
    reading.open()
    await mayGoOn.wait()
    return history.books
  }
  const first = post('/runs/r/verdict', {})
  await reading.wait()
  expect(await post('/runs/r/verdict', {})).toMatchObject({ status: 409 })
  mayGoOn.open()
  expect(await first).toMatchObject({ status: 200 })
})

it('answers 500 without an internal message when it fails itself', async () => {
  await post('/runs/r/attempts', batch)
  books = () => Promise.reject(new Error('secret detail'))
  const { status, body } = await post('/runs/r/verdict', {})
  expect([status, JSON.stringify(body).includes('secret')]).toEqual([500, false])
})

it('lets clients go alone whom nobody meets', async () => {
  expect(await post('/runs/r/meetings/m', { clients: 2 })).toMatchObject({ body: { met: false } })
})

async function post(path: string, body: unknown) {
  return read(
    await fetch(url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }),
  )
}

async function get(path: string) {
  return read(await fetch(url + path))
}

async function read(response: Response): Promise<{ status: number; body: unknown }> {
  return { status: response.status, body: await response.json() }
}
