import { createDatabase, type Database, sql } from '@seatbelt/database'
import { createLatch, startTcpProxy, type WireMessage } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Message, maxAttempts, processRuntime, relayLeaseProblem, SendFailure } from '../src/index.ts'
import { type Outbox, openOutbox, strangerId } from './outbox.ts'

let outbox: Outbox

beforeEach(async () => {
  outbox = await openOutbox()
})
afterEach(() => outbox.close())

const oneReceipt = async () => outbox.tell({ orderId: await outbox.order() })

describe('a relay', () => {
  it('sends what is due, marks it, and finds nothing more', async () => {
    await oneReceipt()
    const sent: Message[] = []
    const relay = outbox.relay('receipt', async (message) => void sent.push(message))
    const [row] = await outbox.rows()
    expect(await relay()).toEqual({ id: row?.id, result: 'sent', error: null })
    expect(await relay()).toBeNull()
    expect(sent).toMatchObject([{ id: row?.id, topic: 'payment.succeeded', recipient: 'ada@example.com' }])
    expect(await outbox.rows()).toMatchObject([{ state: 'sent', attempts: 1 }])
  })

  it('and a second relay at the same moment: one of them has the message, the other finds nothing', async () => {
    await oneReceipt()
    const [isSending, mayEnd] = [createLatch('one is sending'), createLatch('the other has looked')]
    let sends = 0
    const send = async () => {
      sends += 1
      isSending.open()
      await mayEnd.wait()
    }
    const first = outbox.relay('receipt', send)()
    await isSending.wait()
    expect(await outbox.relay('receipt', send)()).toBeNull()
    mayEnd.open()
    expect(await first).toMatchObject({ result: 'sent' })
    expect(sends).toBe(1)
  })

  it('skips a row that another relay is just taking, instead of waiting for it', async () => {
    await oneReceipt()
    await oneReceipt()
    await outbox.database.transaction(async (tx) => {
      await tx.read(sql`SELECT id FROM outbox ORDER BY next_attempt_at LIMIT 1 FOR UPDATE`)
      expect(await outbox.relay('receipt', async () => undefined)()).toMatchObject({ result: 'sent' })
    })
    expect((await outbox.rows()).map(({ state }) => state).sort()).toEqual(['open', 'sent'])
  })

  it('finds a message whose transaction was committed after those with later ids', async () => {
    const orderId = await outbox.order()
    const late = createLatch('the later one was sent')
    const sent: string[] = []
    const relay = outbox.relay('receipt', async ({ payload }) => void sent.push((payload as { n: string }).n))
    const insert = (n: string, id: string) =>
      `INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload)
       SELECT '${id}', account_id, 'receipt', 'payment.succeeded', gen_random_uuid(), 'a@b.example', '{"n":"${n}"}' FROM orders WHERE id = '${orderId}'`
    const slow = outbox.database.transaction(async (tx) => {
      await tx.writeReturning({ text: insert('first', '0192f000-0000-7000-8000-000000000001'), values: [] })
      await late.wait()
    })
    await outbox.sql(insert('second', '0192f000-0000-7000-8000-000000000002'))
    await relay()
    late.open()
    await slow
    await relay()
    expect(sent).toEqual(['second', 'first'])
  })

  it('leaves the other channel alone', async () => {
    await oneReceipt()
    expect(await outbox.relay('webhook', async () => undefined)()).toBeNull()
  })
})

describe('an account whose endpoint hangs', () => {
  it('occupies as many lanes as it may, and the messages of others are sent meanwhile', async () => {
    await outbox.endpoint('https://slow.example')
    await outbox.endpoint('https://fast.example', strangerId)
    for (let n = 0; n < 3; n++) await outbox.tell({})
    await outbox.tell({ account: strangerId })
    const [hangs, letGo] = [createLatch('one hangs'), createLatch('the slow one answers')]
    const urls: string[] = []
    const send = async ({ endpoint }: Message) => {
      urls.push(endpoint?.url ?? '')
      if (endpoint?.url !== 'https://slow.example') return
      hangs.open()
      await letGo.wait()
    }
    const relay = outbox.relay('webhook', send, { perAccount: 1 })
    const hanging = relay()
    await hangs.wait()
    expect(await relay()).toMatchObject({ result: 'sent' })
    expect(await relay()).toBeNull()
    expect(urls).toEqual(['https://slow.example', 'https://fast.example'])
    letGo.open()
    await hanging
    expect(await relay()).toMatchObject({ result: 'sent' })
  })
})

describe('a relay that was paused past its lease', () => {
  it('marks nothing: the message belongs to the relay that sent it meanwhile, and the copy is counted', async () => {
    await oneReceipt()
    const [isSending, wakesUp] = [createLatch('the first one is sending'), createLatch('the first one wakes up')]
    const ids: string[] = []
    const paused = outbox.relay('receipt', async ({ id }) => {
      ids.push(id)
      isSending.open()
      await wakesUp.wait()
    })()
    await isSending.wait()
    await outbox.letTimePass('61 seconds')
    const failing = outbox.relay('receipt', async ({ id }) => {
      ids.push(id)
      throw new SendFailure('451 later', { isPermanent: false })
    })
    expect(await failing()).toMatchObject({ result: 'failed' })
    wakesUp.open()
    expect(await paused).toMatchObject({ result: 'superseded' })
    // Had the first one marked it, the second one's failure would be lost with it.
    expect(await outbox.rows()).toMatchObject([{ state: 'open', attempts: 2, last_error: '451 later' }])
    expect(new Set(ids).size).toBe(1)
    expect(ids).toHaveLength(2)
  })

  it('sends nothing if the pause came before the sending', async () => {
    await oneReceipt()
    const sends = counting()
    let pausedMs = 0
    const runtime = { ...processRuntime, monotonicMs: () => processRuntime.monotonicMs() + pausedMs }
    const database: Pick<Database, 'query'> = {
      query: async <Row extends object>(statement: Parameters<Database['query']>[0]) => {
        const taken = await outbox.database.query<Row>(statement)
        pausedMs = 45_000
        return taken
      },
    }
    expect(await outbox.relay('receipt', sends.send, { database, runtime })()).toMatchObject({ result: 'late' })
    expect(sends.count()).toBe(0)
    expect(await outbox.rows()).toMatchObject([{ state: 'leased' }])
  })
})

describe('a message that its receiver does not accept', () => {
  it('is tried again after a pause, with its old id', async () => {
    await oneReceipt()
    const ids: string[] = []
    const relay = outbox.relay('receipt', async ({ id }) => {
      ids.push(id)
      if (ids.length === 1) throw new SendFailure('451 later', { isPermanent: false })
    })
    expect(await relay()).toMatchObject({ result: 'failed', error: '451 later' })
    expect(await relay()).toBeNull()
    await outbox.letTimePass('2 seconds')
    expect(await relay()).toMatchObject({ result: 'sent' })
    expect(ids[1]).toBe(ids[0])
    expect(await outbox.rows()).toMatchObject([{ state: 'sent', last_error: null, attempts: 2 }])
  })

  it('is dead at once if the refusal is permanent, otherwise after the last try, and stays so', async () => {
    await oneReceipt()
    await outbox.relay('receipt', () => Promise.reject(new SendFailure('550 no such user', { isPermanent: true })))()
    expect(await outbox.rows()).toMatchObject([{ state: 'dead', attempts: 1, last_error: '550 no such user' }])

    await outbox.sql('DELETE FROM outbox')
    await oneReceipt()
    const relay = outbox.relay('receipt', () => Promise.reject(new SendFailure('451', { isPermanent: false })))
    const results: unknown[] = []
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      results.push((await relay())?.result)
      await outbox.letTimePass('4 hours')
    }
    expect(results).toEqual([...Array.from({ length: maxAttempts - 1 }, () => 'failed'), 'dead'])
    expect(await relay()).toBeNull()
  })

  it('is dead if no relay lived to record a result', async () => {
    await oneReceipt()
    await outbox.sql('UPDATE outbox SET attempts = $1', [maxAttempts])
    const sends = counting()
    expect(await outbox.relay('receipt', sends.send)()).toMatchObject({ result: 'dead' })
    expect(sends.count()).toBe(0)
  })

  it('waits for longer and longer, and never for more than four hours', async () => {
    await oneReceipt()
    const relay = outbox.relay('receipt', () => Promise.reject(new SendFailure('451', { isPermanent: false })))
    const pauses: number[] = []
    for (let attempt = 1; attempt < maxAttempts; attempt++) {
      await relay()
      const [row] = await outbox.sql<{ pause: number }>(
        `SELECT extract(epoch FROM next_attempt_at - clock_timestamp())::float8 AS pause FROM outbox`,
      )
      pauses.push(row?.pause ?? 0)
      await outbox.letTimePass('4 hours')
    }
    pauses.forEach((pause, failures) => {
      const bound = Math.min(4 * 3_600, 2 * 2 ** failures)
      // Some of it is over by the time it is read.
      expect(pause).toBeGreaterThan(bound / 2 - 1.5)
      expect(pause).toBeLessThanOrEqual(bound)
    })
    // The last try comes after 14 hours at the least, whatever the random part is.
    expect(pauses.reduce((sum, pause) => sum + pause)).toBeGreaterThan(14 * 3_600)
  })

  it('is kept when the sending breaks on our side, and the fault is reported', async () => {
    await oneReceipt()
    const faults: unknown[] = []
    const relay = outbox.relay('receipt', () => Promise.reject(new TypeError('a secret detail')), {
      reportFault: (fault) => faults.push(fault),
    })
    expect(await relay()).toMatchObject({ result: 'failed', error: 'the sending broke on our side' })
    expect(faults).toMatchObject([{ message: 'a secret detail' }])
  })
})

describe('the mark', () => {
  it.each(['request', 'answer'] as const)(
    'is made in spite of a connection that breaks at its %s: nothing is sent twice',
    async (at) => {
      await oneReceipt()
      const proxy = await startTcpProxy({ ...proxied(), protocol: 'postgres' })
      const database = createDatabase({ url: proxy.through(outbox.fresh.url), poolSize: 1, applicationName: 'relay' })
      try {
        const sends = counting()
        const relay = outbox.relay('receipt', sends.send, { database })
        const mark = proxy.intercept({ matches: isStatement('SET published_at'), at })
        const relayed = relay()
        await mark.reached()
        mark.cut()
        expect(await relayed).toMatchObject({ result: 'sent' })
        expect(sends.count()).toBe(1)
        expect(await outbox.rows()).toMatchObject([{ state: 'sent', attempts: 1 }])
      } finally {
        await database.close()
        await proxy.close()
      }
    },
  )
})

describe('the lease', () => {
  it('must outlast the taking, the whole deadline of the sending, and the retries of the mark', () => {
    expect(relayLeaseProblem({ sendDeadlineMs: 15_000, leaseMs: 40_000 })).toBeNull()
    expect(relayLeaseProblem({ sendDeadlineMs: 15_000, leaseMs: 39_999 })).toMatch('39999 ms is too short')
    expect(() => outbox.relay('receipt', async () => undefined, { leaseMs: 1_000 })).toThrow(RangeError)
  })
})

function counting() {
  const ids: string[] = []
  return { send: async ({ id }: Message) => void ids.push(id), count: () => ids.length }
}

function proxied() {
  const { hostname, port } = new URL(outbox.fresh.url)
  return { target: { host: hostname, port: Number(port) } }
}

function isStatement(part: string) {
  return ({ kind, text }: WireMessage) => kind === 'execute' && text.includes(part)
}
