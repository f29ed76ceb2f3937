import { appendFileSync, readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMailSink } from '../../src/mail-sink/create-mail-sink.ts'
import { createMailForwarder } from '../../src/mail-sink/forward-mail.ts'
import { createMailStore, type MailStore } from '../../src/mail-sink/mail-store.ts'
import { type MailFault, startSmtpListener } from '../../src/mail-sink/smtp-listener.ts'
import { temporaryFolder } from '../stack/temporary-folder.ts'

const mail = (messageId: string) => ({
  ...{ messageId, sender: 'a@b.example', recipients: ['c@d.example'], subject: 's', bytes: 10, fault: null },
})

describe('the store', () => {
  it('has each message in its file before anybody hears that it was kept', () => {
    const file = join(temporaryFolder(), 'some/where/messages.jsonl')
    const store = createMailStore(file)
    const kept = store.keep(mail('<1@x>'))
    expect(
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([kept])
  })

  it('that was killed goes on where it was, without the line in the middle of which it died', () => {
    const file = join(temporaryFolder(), 'messages.jsonl')
    createMailStore(file).keep(mail('<1@x>'))
    appendFileSync(file, '{"number":2,"mess')
    const again = createMailStore(file)
    again.keep(mail('<2@x>'))
    expect(
      createMailStore(file)
        .read(0, 10)
        .items.map(({ number, messageId }) => [number, messageId]),
    ).toEqual([
      [1, '<1@x>'],
      [2, '<2@x>'],
    ])
  })

  it('is read page by page, and says what it no longer holds', () => {
    const store = createMailStore(join(temporaryFolder(), 'messages.jsonl'), 3)
    for (const n of [1, 2, 3, 4]) store.keep(mail(`<${n}@x>`))
    const first = store.read(1, 2)
    expect(first.items.map(({ number }) => number)).toEqual([2, 3])
    expect(first).toMatchObject({ next: 3, oldest: 2 })
    expect(store.read(3, 2)).toMatchObject({ items: [{ number: 4 }], next: null })
    expect(store.read(0, 10).items.map(({ number }) => number)).toEqual([2, 3, 4])
    expect(store.read(99, 10)).toMatchObject({ items: [], next: null })
  })
})

describe('the sink over HTTP', () => {
  let server: Server
  let base: string
  const set: (readonly MailFault[])[] = []
  let store: MailStore

  beforeEach(async () => {
    set.length = 0
    store = createMailStore(join(temporaryFolder(), 'messages.jsonl'))
    const app = createMailSink(store, { setFaults: (faults) => void set.push(faults) })
    server = await new Promise((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
    })
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(() => new Promise((resolve) => server.close(resolve)))

  const control = (body: unknown) =>
    fetch(`${base}/v1/control/faults`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  it('lists what arrived after a number', async () => {
    store.keep(mail('<1@x>'))
    store.keep(mail('<2@x>'))
    const page = await (await fetch(`${base}/v1/messages?after=1`)).json()
    expect(page).toMatchObject({ items: [{ number: 2, messageId: '<2@x>' }], next: null })
    expect((await fetch(`${base}/v1/messages?after=x`)).status).toBe(400)
  })

  it('takes faults, each once unless it says otherwise, and refuses what it does not know', async () => {
    expect((await control({ faults: [{ kind: 'hang' }, { kind: 'refuse', code: 550, times: 3 }] })).status).toBe(200)
    expect(set).toEqual([
      [
        { kind: 'hang', code: 451, times: 1 },
        { kind: 'refuse', code: 550, times: 3 },
      ],
    ])
    for (const wrong of [{ faults: [{ kind: 'explode' }] }, {}, '{']) expect((await control(wrong)).status).toBe(400)
    expect((await fetch(`${base}/elsewhere`)).status).toBe(404)
  })
})

it('a copy of everything goes to whoever shows it to people, and nobody waits for him', async () => {
  const shown = createMailStore(join(temporaryFolder(), 'shown.jsonl'))
  const page = await startSmtpListener({ host: '127.0.0.1', port: 0, store: shown })
  const faults: unknown[] = []
  const forward = createMailForwarder(`127.0.0.1:${page.port}`, (fault) => faults.push(fault))
  const raw = Buffer.from('Message-ID:\r\n <folded@x>\r\nSubject: s\r\n\r\nbody\r\n')
  forward({ from: 'a@b.example', to: ['c@d.example'], raw })
  await expect.poll(() => shown.count).toBe(1)
  expect(shown.read(0, 1).items).toMatchObject([{ messageId: '<folded@x>', recipients: ['c@d.example'] }])
  await page.close()
  forward({ from: 'a@b.example', to: ['c@d.example'], raw })
  forward({ from: 'a@b.example', to: ['c@d.example'], raw })
  await expect.poll(() => faults).toHaveLength(1)
})
