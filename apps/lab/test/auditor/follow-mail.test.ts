import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { followMail } from '../../src/auditor/follow-mail.ts'
import { createMailSink } from '../../src/mail-sink/create-mail-sink.ts'
import { createMailStore, type MailStore } from '../../src/mail-sink/mail-store.ts'

let folder: string
let store: MailStore
let server: Server
let url: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seatbelt-mail-'))
  store = createMailStore(join(folder, 'messages.jsonl'), 1_500)
  server = createServer(createMailSink(store, { setFaults: () => undefined }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  await close()
  await rm(folder, { recursive: true })
})

it('reads all pages of the real sink, and later only what is new', async () => {
  for (let number = 1; number <= 1_200; number += 1) arrive(number)
  const mail = followMail(url)
  expect(await mail.catchUp()).toBe(1_200)
  arrive(1_201, 'hang')
  expect(await mail.catchUp()).toBe(1)
  expect(mail.mails.map(({ number }) => number)).toEqual(Array.from({ length: 1_201 }, (_, index) => index + 1))
  expect(mail.mails.at(-1)).toEqual({
    ...{ number: 1_201, arrivedAt: expect.any(Date), messageId: '<message-1201@example.com>' },
    ...{ recipients: ['ada@example.com'], fault: 'hang' },
  })
})

it('is incomplete where the sink has forgotten the oldest', async () => {
  for (let number = 1; number <= 1_501; number += 1) arrive(number)
  await expect(followMail(url).catchUp()).rejects.toMatchObject({ code: 'incomplete-read' })
})

it('is incomplete where there is no sink, or something else', async () => {
  await expect(followMail(`${url}/elsewhere`).catchUp()).rejects.toMatchObject({ code: 'incomplete-read' })
  await close()
  await expect(followMail(url).catchUp()).rejects.toMatchObject({ code: 'incomplete-read' })
})

function arrive(number: number, fault: string | null = null): void {
  const messageId = `<message-${number}@example.com>`
  const envelope = { sender: 'shop@example.com', recipients: ['ada@example.com'] }
  store.keep({ messageId, ...envelope, subject: 'Receipt', bytes: 700, fault })
}

async function close(): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
