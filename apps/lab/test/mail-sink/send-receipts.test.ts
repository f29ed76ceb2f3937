import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createDatabase, type Database, developmentAccounts, seedDevelopment } from '@seatbelt/database'
import { currencies, formatMoney } from '@seatbelt/domain'
import {
  createReceiptSender,
  createRelay,
  enqueueMessages,
  type Message,
  processRuntime,
  type Receipt,
} from '@seatbelt/payments'
import { type FreshDatabase, freshDatabase, startTcpProxy, type WireMessage } from '@seatbelt/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMailStore, type MailStore } from '../../src/mail-sink/mail-store.ts'
import { type MailFault, type SmtpListener, startSmtpListener } from '../../src/mail-sink/smtp-listener.ts'
import { temporaryFolder } from '../stack/temporary-folder.ts'

const from = 'receipts@seatbelt.example'
let store: MailStore
let sink: SmtpListener
/** The messages, as they came. */
const raws: string[] = []

beforeEach(async () => {
  store = createMailStore(join(temporaryFolder(), 'messages.jsonl'))
  raws.length = 0
  const onKept = ({ raw }: { readonly raw: Buffer }) => raws.push(raw.toString())
  sink = await startSmtpListener({ host: '127.0.0.1', port: 0, store, onKept })
})
afterEach(() => sink.close())

const fault = (kind: MailFault['kind'], code = 451) => sink.setFaults([{ kind, code, times: 1 }])
const smtpUrl = () => `smtp://127.0.0.1:${sink.port}`
const sender = (deadlineMs = 5_000, url = smtpUrl()) => createReceiptSender({ smtpUrl: url, from, deadlineMs })

function receipt(over: Partial<Message> = {}): Message {
  const payload: Receipt = { orderId: 'order-1', amountMinor: 1_999, currency: 'EUR' }
  return {
    ...{ id: '0192f000-0000-7000-8000-00000000000a', topic: 'payment.succeeded', recipient: 'ada@example.com' },
    ...{ payload, createdAt: new Date('2026-11-20T10:00:00.000Z'), endpoint: null },
    ...over,
  }
}

async function textOf(message: Message): Promise<string> {
  await sender()(message)
  return raws.at(-1) ?? ''
}

/** As RCPT TO has it. The sink reads a domain in its ASCII form back into Unicode. */
async function recipientOnTheWire(recipient: string): Promise<string | undefined> {
  let said = ''
  const server = createServer((socket) => {
    socket.on('error', () => undefined).write('220 ready\r\n')
    socket.on('data', (bytes) => {
      said += bytes
      socket.write(/^DATA/m.test(String(bytes)) ? '354 go on\r\n' : '250 SMTPUTF8\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await sender(5_000, `smtp://127.0.0.1:${port}`)(receipt({ recipient }))
  server.close()
  return /^RCPT TO:<(.*?)>/m.exec(said)?.[1]
}

const failure = (isPermanent: boolean, text: RegExp) => ({
  code: 'send-failure',
  isPermanent,
  message: expect.stringMatching(text),
})

describe('a receipt', () => {
  it('arrives over SMTP, with an id that is made of its own', async () => {
    await sender()(receipt())
    expect(store.read(0, 10).items).toMatchObject([
      {
        ...{ number: 1, sender: from, recipients: ['ada@example.com'], fault: null },
        messageId: '<0192f000-0000-7000-8000-00000000000a@seatbelt.example>',
        subject: 'Receipt for your payment of 19.99 EUR',
      },
    ])
  })

  it('writes amounts as their currency does', async () => {
    const payload: Receipt = { orderId: 'o', amountMinor: 1_999, currency: 'JPY' }
    await sender()(receipt({ payload, topic: 'refund.succeeded' }))
    expect(store.read(0, 10).items).toMatchObject([{ subject: 'Your refund of 1999 JPY' }])
  })

  it('tells in every currency the amount that the gateway took', async () => {
    for (const currency of currencies)
      await sender()(receipt({ payload: { orderId: 'o', amountMinor: 17_500, currency } }))
    const expected = currencies.map((currency) => formatMoney({ amountMinor: 17_500, currency }))
    expect(expected).toEqual(expect.arrayContaining(['175.00 EUR', '17500 JPY', '17.500 KWD', '175 ISK']))
    const subjects = store.read(0, 200).items.map(({ subject }) => subject)
    expect(subjects).toEqual(expected.map((amount) => `Receipt for your payment of ${amount}`))
  })

  it.each(['refund.failed', 'refund.reversed'])('says that a refund did not arrive (%s)', async (topic) => {
    const text = await textOf(receipt({ topic }))
    expect(store.read(0, 10).items).toMatchObject([{ subject: 'Your refund of 19.99 EUR failed' }])
    expect(text).toContain('Your refund of 19.99 EUR did not reach you.')
  })

  it('names the time zone of its date', async () => {
    const text = await textOf(receipt({ createdAt: new Date('2026-11-20T23:30:00.000Z') }))
    expect(text).toContain('Date: 2026-11-20 23:30 UTC')
  })

  it('goes to a domain beyond ASCII in its ASCII form, and to a local part beyond ASCII as it is', async () => {
    expect(await recipientOnTheWire('info@räucher.example')).toBe('info@xn--rucher-bua.example')
    expect(await recipientOnTheWire('müller@example.com')).toBe('müller@example.com')
  })

  it.each([
    ['451 is tried again', 451, false],
    ['452 is tried again', 452, false],
    ['550 is given up', 550, true],
    ['554 is given up', 554, true],
  ] as const)('that is refused with %s', async (_, code, isPermanent) => {
    fault('refuse', code)
    await expect(sender()(receipt())).rejects.toMatchObject(failure(isPermanent, new RegExp(`${code}`)))
    expect(store.count).toBe(0)
  })

  it('fails where the answer is lost after the server kept it, and its copy has the same id', async () => {
    fault('drop-answer')
    await expect(sender()(receipt())).rejects.toMatchObject(failure(false, /closed|reset|hung up/i))
    await sender()(receipt())
    const kept = store.read(0, 10).items
    expect(kept.map((mail) => mail.fault)).toEqual(['drop-answer', null])
    expect(new Set(kept.map(({ messageId }) => messageId)).size).toBe(1)
  })

  it.each(['hang', 'trickle'] as const)('ends within its deadline where the server does %s', async (kind) => {
    fault(kind)
    const startedAtMs = performance.now()
    await expect(sender(600)(receipt())).rejects.toMatchObject(failure(false, /too long/))
    expect(performance.now() - startedAtMs).toBeLessThan(4_000)
  })

  it.each(['never greets', 'greets with 554', 'trickles its greeting'] as const)(
    'ends where the server %s, and is never given up for it: that is no word about this mail',
    async (how) => {
      const sockets: Socket[] = []
      const server = createServer((socket) => {
        sockets.push(socket.on('error', () => undefined))
        if (how === 'greets with 554') socket.write('554 no\r\n')
        if (how !== 'trickles its greeting') return
        const timer = setInterval(() => socket.write('220-'), 20)
        socket.once('close', () => clearInterval(timer))
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      await expect(sender(600, `smtp://127.0.0.1:${port}`)(receipt())).rejects.toMatchObject(failure(false, /./))
      // The socket is destroyed, not left to its idle time-out.
      // (`once` would take the reset of what was still trickling for a failure.)
      const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))
      await Promise.all(sockets.map((socket) => socket.destroyed || closed(socket)))
      server.close()
      await once(server, 'close')
    },
  )

  it('gives its password to nobody without TLS', async () => {
    const withPassword = `smtp://shop:hunter2@127.0.0.1:${sink.port}`
    const told = await sender(2_000, withPassword)(receipt()).catch((error: Error) => error)
    expect(told).toMatchObject(failure(false, /TLS|STARTTLS/i))
    expect(String(told)).not.toContain('hunter2')
    expect(store.count).toBe(0)
  })
})

describe('a relay that is killed after the server took the mail and before it is marked', () => {
  let fresh: FreshDatabase
  let database: Database

  beforeEach(async () => {
    fresh = await freshDatabase()
    database = createDatabase({ url: fresh.url, poolSize: 2, applicationName: 'mail-test' })
    await seedDevelopment(database)
  })
  afterEach(async () => {
    await database.close()
    await fresh.close()
  })

  it('causes exactly one copy, with the same id', async () => {
    await enqueueReceipt(database)
    const { hostname, port } = new URL(fresh.url)
    const proxy = await startTcpProxy({
      ...{ target: { host: hostname, port: Number(port) }, protocol: 'postgres', boundMs: 20_000 },
    })
    try {
      const isMark = ({ kind, text }: WireMessage) => kind === 'execute' && text.includes('SET published_at')
      const mark = proxy.intercept({ matches: isMark, at: 'request' })
      const killed = fork(join(import.meta.dirname, 'relay-process.ts'), [proxy.through(fresh.url), smtpUrl()], {
        execArgv: ['--import', 'tsx'],
      })
      const gone = once(killed, 'exit')
      await mark.reached()
      killed.kill('SIGKILL')
      await gone
      mark.cut()
      expect(store.count).toBe(1)

      const relay = createRelay({
        ...{ database, runtime: processRuntime, channel: 'receipt', send: sender(), reportFault: () => undefined },
        ...{ sendDeadlineMs: 5_000, leaseMs: 60_000 },
      })
      // Until the lease is over it is the dead one's.
      expect(await relay()).toBeNull()
      await database.client.$executeRaw`UPDATE outbox SET next_attempt_at = next_attempt_at - interval '61 seconds'`
      expect(await relay()).toMatchObject({ result: 'sent' })
      expect(await relay()).toBeNull()
      const ids = store.read(0, 10).items.map(({ messageId }) => messageId)
      expect(ids).toHaveLength(2)
      expect(new Set(ids).size).toBe(1)
    } finally {
      await proxy.close()
    }
  })
})

async function enqueueReceipt(database: Database): Promise<void> {
  const accountId = developmentAccounts[0].id
  const orderId = randomUUID()
  const money = { amountMinor: 1_999, currency: 'EUR' } as const
  await database.client.order.create({
    data: { id: orderId, accountId, customerId: 'c', ...money, receiptEmail: 'ada@example.com' },
  })
  const fact = { accountId, topic: 'payment.succeeded', subjectId: randomUUID(), data: {} } as const
  await database.transaction(async (tx) =>
    enqueueMessages({ runtime: processRuntime }, tx, { ...fact, receipt: { orderId, ...money } }),
  )
}
