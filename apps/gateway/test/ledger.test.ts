import { appendFileSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Fact } from '../src/facts.ts'
import { createSimulator } from '../src/index.ts'
import { openLedgerFile } from '../src/ledger-file.ts'
import { card, openSimulator, temporaryFolder } from './support.ts'

describe('the witness', () => {
  it('tells every entry with all that identifies it', async () => {
    const { http, post } = openSimulator({ now: () => new Date('2026-11-20T08:00:00.000Z') })
    const metadata = { 'metadata[orderId]': 'o1', 'metadata[paymentId]': 'p1' }
    const created = await post('', { ...card, ...metadata }, 'p1:create:1')
    const confirmed = await post(`/${created.body.id}/confirm`, {}, 'p1:confirm:1')
    const { body } = await http.get('/_ledger').expect(200)
    expect(body).toEqual({
      entries: [
        {
          seq: 1,
          at: '2026-11-20T08:00:00.000Z',
          type: 'intent.created',
          intentId: created.body.id,
          chargeId: null,
          refundId: null,
          customerId: null,
          amountMinor: 1999,
          currency: 'EUR',
          metadata: { orderId: 'o1', paymentId: 'p1' },
          idempotencyKey: 'p1:create:1',
          requestId: created.headers['request-id'],
          paymentMethod: 'pm_card_visa',
          captureMethod: 'automatic',
          error: null,
          cancellationReason: null,
          refundReason: null,
          refundStatus: null,
          failureReason: null,
          outlook: null,
          disputeId: null,
          disputeStatus: null,
          disputeReason: null,
          actor: null,
        },
        expect.objectContaining({
          seq: 2,
          type: 'charge.captured',
          chargeId: confirmed.body.latest_charge,
          requestId: confirmed.headers['request-id'],
        }),
      ],
      nextAfterSeq: null,
    })
  })

  it('is read in pages', async () => {
    const { http, createIntent } = openSimulator()
    for (let n = 0; n < 5; n += 1) await createIntent()
    const first = await http.get('/_ledger?limit=3').expect(200)
    expect(first.body.nextAfterSeq).toBe(3)
    const rest = await http.get('/_ledger?limit=3&afterSeq=3').expect(200)
    expect(rest.body.nextAfterSeq).toBeNull()
    const entries: { seq: number }[] = [...first.body.entries, ...rest.body.entries]
    expect(entries.map((entry) => entry.seq)).toEqual([1, 2, 3, 4, 5])
    await http.get('/_ledger?limit=x').expect(400)
  })

  it('counts by order what was captured, created and declined', async () => {
    const { http, post, createIntent } = openSimulator()
    const order = { 'metadata[orderId]': 'o1' }
    const declined = await createIntent({ ...order, payment_method: 'pm_card_visa_chargeDeclined' })
    await post(`/${declined}/confirm`).expect(402)
    const paid = await createIntent(order)
    await post(`/${paid}/confirm`).expect(200)
    await createIntent({ 'metadata[orderId]': 'o2' })

    const { body } = await http.get('/_ledger/orders/o1').expect(200)
    expect(body).toMatchObject({
      intents: 2,
      intentIds: [expect.stringMatching(/^pi_/), expect.stringMatching(/^pi_/)],
      declined: 1,
      captured: [{ intentId: paid, amountMinor: 1999, currency: 'EUR' }],
    })
    expect((await http.get('/_ledger/orders/unheard-of')).body).toEqual({
      captured: [],
      refunds: [],
      intents: 0,
      intentIds: [],
      declined: 0,
    })
  })

  it('is on disk before the answer is given', async () => {
    const ledgerPath = temporaryFolder()
    let onDisk = ''
    const { post } = openSimulator({
      ledgerPath,
      // The last wait lies between the effect and the answer.
      sleep: async () => {
        onDisk = readFileSync(join(ledgerPath, 'ledger.jsonl'), 'utf8')
      },
    })
    const { body } = await post('', card, 'k1')
    const [entry, key] = onDisk
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(entry).toMatchObject({ type: 'intent.created', intentId: body.id })
    expect(key).toMatchObject({ type: 'key.recorded', key: 'k1', status: 200 })
  })

  it('refuses to work on when its books are full, rather than to forget', async () => {
    const { http, post, get } = openSimulator({ maxFacts: 4 })
    const { body } = await post('', card, 'k1').expect(200)
    await post('', card, 'k2').expect(200)
    await post('', card, 'k3').expect(503)
    // What it knows it still tells.
    await get(`/${body.id}`).expect(200)
    expect((await post('', card, 'k1').expect(200)).body.id).toBe(body.id)
    expect((await http.get('/_ledger')).body.entries).toHaveLength(2)
  })
})

describe('a simulator that is started again on its ledger', () => {
  it('knows every intent, tally and key', async () => {
    const ledgerPath = temporaryFolder()
    const before = openSimulator({ ledgerPath })
    const order = { 'metadata[orderId]': 'o1' }
    const ids = {
      succeeded: await before.createIntent(order),
      declined: await before.createIntent({ ...order, payment_method: 'pm_card_chargeDeclinedExpiredCard' }),
      canceled: await before.createIntent(order),
      waiting: await before.createIntent({ ...order, payment_method: 'pm_card_authenticationRequired' }),
      unconfirmed: await before.createIntent(order),
    }
    const confirmed = await before.post(`/${ids.succeeded}/confirm`, {}, 'k1')
    await before.post(`/${ids.declined}/confirm`)
    await before.post(`/${ids.canceled}/cancel`)
    await before.post(`/${ids.waiting}/confirm`)
    const known = { list: (await before.get('')).body, tally: before.simulator.books.tallyOfOrder('o1') }
    before.simulator.close()

    const after = openSimulator({ ledgerPath })
    expect((await after.get('')).body).toEqual(known.list)
    expect(after.simulator.books.tallyOfOrder('o1')).toEqual(known.tally)
    const replayed = await after.post(`/${ids.succeeded}/confirm`, {}, 'k1').expect(200)
    expect(replayed.text).toBe(confirmed.text)
    expect(replayed.headers['idempotent-replayed']).toBe('true')
    await after.post(`/${ids.succeeded}/confirm`, {}, 'k2').expect(400)
    await after.post(`/${ids.canceled}/confirm`).expect(400)
    await after.post(`/${ids.unconfirmed}/confirm`).expect(200)
    expect(after.types()).toHaveLength(9)
  })

  it('reads what was written before there were refunds and customers', async () => {
    const ledgerFile = join(temporaryFolder(), 'ledger.jsonl')
    const old = { amountMinor: 5, currency: 'EUR', metadata: {}, idempotencyKey: null, requestId: 'req_1', error: null }
    const intent = { ...old, intentId: 'pi_1', paymentMethod: 'pm_card_visa', cancellationReason: null }
    const facts = [
      { ...intent, seq: 1, at: '2026-11-20T08:00:00.000Z', type: 'intent.created', chargeId: null },
      { ...intent, seq: 2, at: '2026-11-20T08:00:01.000Z', type: 'charge.captured', chargeId: 'ch_1' },
    ]
    writeFileSync(ledgerFile, facts.map((fact) => `${JSON.stringify(fact)}\n`).join(''))
    const { get } = openSimulator({ ledgerPath: ledgerFile })
    const { body } = await get('/pi_1?expand[]=latest_charge').expect(200)
    expect(body).toMatchObject({ capture_method: 'automatic', customer: null, latest_charge: { amount_captured: 5 } })
  })

  it('does not remember keys that were forgotten or are too old', async () => {
    const ledgerPath = temporaryFolder()
    const now = new Date('2026-11-20T08:00:00.000Z')
    const before = openSimulator({ ledgerPath, now: () => now, keyTtlMs: 1_000 })
    const forgotten = await before.post('', card, 'forgotten')
    await before.http.post('/_control/forget-keys').expect(204)
    const old = await before.post('', card, 'old')
    before.simulator.close()

    const after = openSimulator({ ledgerPath, now: () => new Date(now.getTime() + 1_000), keyTtlMs: 1_000 })
    expect((await after.post('', card, 'forgotten')).body.id).not.toBe(forgotten.body.id)
    expect((await after.post('', card, 'old')).body.id).not.toBe(old.body.id)
  })

  it('cuts off a last line that a kill left unfinished, and goes on behind it', async () => {
    const ledgerPath = temporaryFolder()
    const before = openSimulator({ ledgerPath })
    await before.createIntent()
    before.simulator.close()
    appendFileSync(join(ledgerPath, 'ledger.jsonl'), '{"seq":2,"at":"2026-11-2')

    const between = openSimulator({ ledgerPath })
    expect(between.types()).toHaveLength(1)
    await between.createIntent()
    between.simulator.close()
    expect(openSimulator({ ledgerPath }).types()).toHaveLength(2)
  })

  it.each([
    ['a line that is not JSON', (lines: string[]) => ['nonsense', ...lines.slice(1)]],
    ['a missing entry', (lines: string[]) => lines.slice(1)],
    ['an entry twice', (lines: string[]) => [...lines, lines.at(-1) ?? '']],
    ['a fact of an unknown kind', (lines: string[]) => [...lines, '{"type":"magic"}']],
  ])('refuses %s: a witness does not guess', async (_name, spoil) => {
    const ledgerFile = join(temporaryFolder(), 'ledger.jsonl')
    const before = openSimulator({ ledgerPath: ledgerFile })
    await before.createIntent()
    await before.createIntent()
    before.simulator.close()
    const lines = readFileSync(ledgerFile, 'utf8').trimEnd().split('\n')
    writeFileSync(ledgerFile, `${spoil(lines).join('\n')}\n`)
    expect(() => createSimulator({ ledgerPath: ledgerFile })).toThrow(
      expect.objectContaining({ code: 'ledger-corrupt' }),
    )
  })

  it('writes nothing once it is closed', async () => {
    const { simulator, post, errors } = openSimulator()
    simulator.close()
    await post('', card).expect(500)
    expect(errors).toHaveLength(1)
  })
})

describe('the file', () => {
  const fact: Fact = { type: 'keys.forgotten', at: '2026-11-20T08:00:00.000Z' }

  it('takes facts in as many writes as the system needs', () => {
    const path = join(temporaryFolder(), 'ledger.jsonl')
    const file = openLedgerFile(
      path,
      () => {},
      (fd, bytes, offset) => writeSync(fd, bytes, offset, Math.min(7, bytes.length - offset)),
    )
    file.append([fact, fact])
    file.close()
    expect(readFileSync(path, 'utf8')).toBe(`${JSON.stringify(fact)}\n`.repeat(2))
  })

  it('keeps nothing of a write that the disk refused half way, and can be written on', () => {
    const path = join(temporaryFolder(), 'ledger.jsonl')
    let isFull = false
    const file = openLedgerFile(
      path,
      () => {},
      (fd, bytes, offset) => {
        if (isFull && offset > 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
        return writeSync(fd, bytes, offset, isFull ? 10 : bytes.length - offset)
      },
    )
    file.append([fact])
    isFull = true
    expect(() => file.append([fact, fact])).toThrow('no space left')
    isFull = false
    file.append([fact])
    file.close()

    const read: Fact[] = []
    openLedgerFile(path, (known) => read.push(known)).close()
    expect(read).toEqual([fact, fact])
  })
})
