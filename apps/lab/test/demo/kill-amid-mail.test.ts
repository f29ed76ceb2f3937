import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReceiptSender } from '@seatbelt/payments'
import { createLatch, type Latch } from '@seatbelt/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { killAmidMail } from '../../src/demo/kill-amid-mail.ts'
import { createMailSink } from '../../src/mail-sink/create-mail-sink.ts'
import { createMailStore, type MailStore } from '../../src/mail-sink/mail-store.ts'
import { type SmtpListener, startSmtpListener } from '../../src/mail-sink/smtp-listener.ts'

let folder: string
let store: MailStore
let smtp: SmtpListener
let server: Server
let mailSinkUrl: string
let armed: Latch

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seatbelt-mail-'))
  store = createMailStore(join(folder, 'messages.jsonl'))
  smtp = await startSmtpListener({ host: '127.0.0.1', port: 0, store })
  armed = createLatch('the sink has been told what to do')
  const setFaults: SmtpListener['setFaults'] = (faults) => {
    smtp.setFaults(faults)
    armed.open()
  }
  server = createServer(createMailSink(store, { setFaults }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  mailSinkUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  await smtp.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})

it('kills a worker when every lane waits for an answer that the sink keeps to itself, and lets later mail through', async () => {
  const done: string[] = []
  const note = (what: string) => async (instance: string) =>
    void done.push(`${what} ${instance}, ${store.count} arrived`)
  const killing = killAmidMail({
    ...{ stack: { kill: note('kill'), startAgain: note('start') }, instance: 'worker-1', mailSinkUrl, lanes: 2 },
    onKilled: async () => void done.push('told'),
    signal: new AbortController().signal,
  })
  const sent = trySending('first', 'second')
  expect(await killing).toMatchObject({ instance: 'worker-1', messages: 2 })
  expect(done).toEqual(['kill worker-1, 2 arrived', 'told', 'start worker-1, 2 arrived'])
  expect(await sent).toEqual(['rejected', 'rejected'])
  expect(await trySending('first again')).toEqual(['fulfilled'])
})

it('waits no longer when the load is over, and then says how many mails the kill hit', async () => {
  const load = new AbortController()
  load.abort()
  const stack = { kill: async () => undefined, startAgain: async () => undefined }
  const lanes = { instance: 'worker-1', mailSinkUrl, lanes: 2 }
  const kill = await killAmidMail({ stack, ...lanes, onKilled: async () => undefined, signal: load.signal })
  expect(kill.messages).toBe(0)
})

/** As relays do, with a deadline that nobody has to wait long for. */
async function trySending(...ids: readonly string[]): Promise<string[]> {
  const send = createReceiptSender({
    smtpUrl: `smtp://127.0.0.1:${smtp.port}`,
    from: 'shop@example.com',
    deadlineMs: 2_000,
  })
  const payload = { orderId: 'order-1', amountMinor: 100, currency: 'EUR' }
  const message = { topic: 'payment.succeeded', recipient: 'ada@example.com', payload, createdAt: new Date(0) }
  await armed.wait()
  const ends = await Promise.allSettled(ids.map((id) => send({ ...message, id, endpoint: null })))
  return ends.map(({ status }) => status)
}
