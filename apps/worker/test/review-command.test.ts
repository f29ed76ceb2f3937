import { randomUUID } from 'node:crypto'
import { differenceKinds } from '@seatbelt/domain'
import { processRuntime, recordAction, sendReceiptsAgain } from '@seatbelt/payments'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { atConsole, intentOf } from '../../../packages/payments/test/gateway-console.ts'
import { booksOf, openPaid } from '../../../packages/payments/test/refund-support.ts'
import {
  accountId,
  openShop,
  type Replica,
  type ReplicaParts,
  type Shop,
} from '../../../packages/payments/test/shop.ts'
import { readOperator } from '../src/operator-arguments.ts'
import { describeDifference } from '../src/reconcile/describe-difference.ts'
import { describeReceipts } from '../src/review/describe-receipts.ts'
import { readArguments } from '../src/review/read-arguments.ts'
import { runReview } from '../src/review/run-review.ts'

let shop: Shop
let replica: Replica
let gateway: Gateway
type Gateway = Parameters<NonNullable<ReplicaParts['gateway']>>[0]
beforeAll(async () => {
  shop = await openShop()
  replica = await shop.replica('api-1', { gateway: (real) => (gateway = real) })
})
afterAll(() => shop?.close())

const cancelWithoutRefund = vi.fn(async () => ({ kind: 'cancelled', keptMinor: 9_000 }) as const)
const run = (...args: readonly string[]) =>
  runReview({ payments: replica.deps, gateway, cancelWithoutRefund }, readArguments(args))

async function deadReceipt(): Promise<string> {
  const id = processRuntime.newId()
  await shop.sql(
    `INSERT INTO outbox (id, account_id, channel, topic, subject_id, recipient, payload, attempts, dead_at, last_error)
     VALUES ($1, $2, 'receipt', 'payment.succeeded', $3, 'ada@example.com', '{}', 1, now(), '550 greylisted')`,
    [id, accountId, randomUUID()],
  )
  return id
}

const actions = () =>
  shop.sql<{ actor: string; action: string; outcome: string | null }>(
    'SELECT actor, reason, action, subject_id AS "subjectId", outcome FROM operator_actions ORDER BY id',
  )
const byAda = ['--as', 'Ada', '--reason', 'ticket 7']

describe('npm run review', () => {
  it('lists receipts that were given up, and sends one or all of them again, with a record', async () => {
    const ids = [await deadReceipt(), await deadReceipt(), await deadReceipt()] as const
    const listed = await run('receipts')
    expect(listed.exitCode).toBe(0)
    expect(listed.text).toMatch(/^3 receipts were given up:\n/)
    for (const id of ids) expect(listed.text).toContain(`receipt ${id}\n  to         ada@example.com`)
    expect(listed.text).toContain('550 greylisted')

    expect(() => run('receipts', '--send-again')).toThrow('--as NAME --reason TEXT')
    expect(await shop.sql('SELECT 1 FROM outbox WHERE dead_at IS NOT NULL')).toHaveLength(3)
    expect(await actions()).toEqual([])

    expect(await run('receipts', ids[0], '--send-again', ...byAda)).toMatchObject({
      exitCode: 0,
      text: 'Done: 1 receipt was made due again.\n',
    })
    expect(await shop.sql('SELECT id FROM outbox WHERE dead_at IS NULL AND attempts = 0')).toEqual([{ id: ids[0] }])
    await run('receipts', ids[1], '--dismiss', ...byAda)
    await run('receipts', '--send-again', ...byAda)
    const due = await shop.sql<{ id: string }>(
      `SELECT id FROM outbox WHERE dead_at IS NULL AND next_attempt_at <= now() AND generation = 1 ORDER BY id`,
    )
    expect(due).toEqual([{ id: ids[0] }, { id: ids[2] }])
    expect(await run('receipts')).toMatchObject({ text: 'No receipt was given up.\n' })
    const ada = { actor: 'Ada', reason: 'ticket 7' }
    const sent = 'Done: 1 receipt was made due again.'
    expect(await actions()).toEqual([
      { ...ada, action: 'review receipts --send-again', subjectId: ids[0], outcome: sent },
      {
        ...{ ...ada, action: 'review receipts --dismiss', subjectId: ids[1] },
        outcome: `Done: receipt ${ids[1]} is deleted, and is not sent.`,
      },
      { ...ada, action: 'review receipts --send-again', subjectId: null, outcome: sent },
    ])
  })

  it('sends each dead receipt again once, though the mail server refuses them again meanwhile', async () => {
    for (let made = 0; made < 501; made++) await deadReceipt()
    const { deps } = replica
    let batches = 0
    const query: typeof deps.database.query = async (statement) => {
      const rows = await deps.database.query<never>(statement)
      if (statement.text.includes('UPDATE outbox') && ++batches < 5)
        await shop.sql(`UPDATE outbox SET dead_at = clock_timestamp() + interval '1 second' WHERE dead_at IS NULL`)
      return rows
    }
    expect(await sendReceiptsAgain({ database: { ...deps.database, query } }, null)).toBe(501)
    await shop.sql(`DELETE FROM outbox WHERE channel = 'receipt'`)
  })

  it('enters a refund of the gateway for a named operator, with a record', async () => {
    const paymentId = processRuntime.newId()
    expect(() => run(paymentId, '--enter-refund', 're_1')).toThrow('--as NAME --reason TEXT')
    expect(() => run('--enter-refund', 're_1', ...byAda)).toThrow('Usage')
    expect(() => run(paymentId, '--cancel', '--enter-refund', 're_1', ...byAda)).toThrow('Usage')
    expect(await run(paymentId, '--enter-refund', 're_1', ...byAda)).toMatchObject({ exitCode: 2 })
    expect((await actions()).at(-1)).toMatchObject({ action: 'review --enter-refund re_1', subjectId: paymentId })
  })

  it('says of a refund that is in our books that nothing is left to do', async () => {
    const paid = await openPaid(replica)
    const { id } = await atConsole(shop, await intentOf(shop, paid.paymentId), 'refund', 1_200)
    const enter = () => run(paid.paymentId, '--enter-refund', id, ...byAda)
    expect(await enter()).toMatchObject({ exitCode: 0, text: expect.stringMatching(/^Done: /) })
    expect(await enter()).toEqual({
      exitCode: 0,
      text: `Nothing is left to do: ${id} is in our books, and is succeeded.\n`,
    })
    expect(await booksOf(shop, paid)).toMatchObject({ refunded: 1_200 })
  })

  it('records a look at a payment with what came of it', async () => {
    const nobodys = processRuntime.newId()
    expect(await run(nobodys, ...byAda)).toMatchObject({ exitCode: 2 })
    expect((await actions()).at(-1)).toMatchObject({
      ...{ actor: 'Ada', action: 'review', subjectId: nobodys },
      outcome: `There is no payment and no refund ${nobodys}.`,
    })
  })

  it('cancels a booking without a refund for a named operator with a reason, with a record', async () => {
    const bookingId = processRuntime.newId()
    for (const unnamed of [[], ['--as', 'Ada'], ['--reason', 'ticket 7']])
      expect(() => run(bookingId, '--cancel-without-refund', ...unnamed)).toThrow('--as NAME --reason TEXT')
    expect(cancelWithoutRefund).not.toHaveBeenCalled()
    expect(await run(bookingId, '--cancel-without-refund', ...byAda)).toMatchObject({ exitCode: 0 })
    expect(cancelWithoutRefund).toHaveBeenCalledExactlyOnceWith(bookingId, { name: 'Ada', reason: 'ticket 7' })
    expect((await actions()).at(-1)).toMatchObject({
      ...{ actor: 'Ada', reason: 'ticket 7', action: 'review --cancel-without-refund', subjectId: bookingId },
      outcome: expect.stringMatching(/is cancelled and its seats are free/),
    })
  })
})

describe('npm run review -- PAYMENT-ID --refunded-outside', () => {
  it('records the refund for a named operator with a reason, with a record', async () => {
    const paid = await openPaid(replica)
    expect(() => run(paid.paymentId, '--refunded-outside')).toThrow('--as NAME --reason TEXT')
    const part = await run(paid.paymentId, '--refunded-outside', '--amount', '1200', ...byAda)
    expect(part).toEqual({
      exitCode: 0,
      text: expect.stringMatching(
        new RegExp(`^Done: 1200 \\(minor units\\) EUR of payment ${paid.paymentId} are recorded as refund `),
      ),
    })
    expect(await run(paid.paymentId, '--refunded-outside', ...byAda)).toMatchObject({ exitCode: 0 })
    expect(await run(paid.paymentId, '--refunded-outside', ...byAda)).toEqual({
      exitCode: 1,
      text: `Nothing was done to payment ${paid.paymentId}: 0 minor units of it are left to refund.\n`,
    })
    expect(await run(processRuntime.newId(), '--refunded-outside', ...byAda)).toMatchObject({ exitCode: 2 })
    expect(await booksOf(shop, paid)).toMatchObject({ order: 'refunded', refunded: 4_200 })
    const mine = (await actions()).filter(({ action }) => action === 'review --refunded-outside')
    expect(mine).toHaveLength(4)
    expect(mine[0]).toMatchObject({
      actor: 'Ada',
      reason: 'ticket 7',
      subjectId: paid.paymentId,
      outcome: part.text.trim(),
    })
  })

  it.each([['0'], ['1.5'], ['-5'], ['100000000'], ['all']])('does not take %s for an amount', (amount) => {
    expect(() => run(processRuntime.newId(), '--refunded-outside', `--amount=${amount}`, ...byAda)).toThrow('Usage')
  })

  it('alone takes an amount', () => {
    expect(() => run(processRuntime.newId(), '--fail', '--amount', '5', ...byAda)).toThrow('Usage')
  })
})

describe("an operator's action", () => {
  const action = { operator: { name: 'Ada', reason: 'ticket 8' }, action: 'review --cancel', subjectId: null }

  it('is on record before it begins, and also if it fails', async () => {
    const act = async () => {
      expect((await actions()).at(-1)).toMatchObject({ reason: 'ticket 8', outcome: null })
      throw new Error('the database is away')
    }
    await expect(recordAction(replica.deps, action, act)).rejects.toThrow('away')
    expect((await actions()).at(-1)).toMatchObject({ outcome: 'it failed: the database is away' })
  })

  it('that is done is not recorded as failed if its outcome cannot be written', async () => {
    const { database, runtime } = replica.deps
    let failures = 0
    const query: typeof database.query = async (statement) => {
      if (statement.text.includes('UPDATE operator_actions') && ++failures === 1) throw new Error('away')
      return database.query<never>(statement)
    }
    const result = await recordAction({ database: { ...database, query }, runtime }, action, async () => ({
      text: 'Done.\n',
      exitCode: 0,
    }))
    expect(result).toEqual({ exitCode: 0, text: expect.stringMatching(/^Done\.\n.*record has no outcome.*away/) })
    expect((await actions()).at(-1)).toMatchObject({ outcome: null })
  })

  it('is never rewritten', async () => {
    await recordAction(replica.deps, action, async () => ({ text: 'Done.', exitCode: 0 }))
    await expect(shop.sql(`UPDATE operator_actions SET actor = 'Eve'`)).rejects.toThrow('never rewritten')
    await expect(shop.sql(`UPDATE operator_actions SET outcome = 'nothing'`)).rejects.toThrow('never rewritten')
    await expect(shop.sql('DELETE FROM operator_actions')).rejects.toThrow('never rewritten')
    await expect(shop.sql('TRUNCATE operator_actions')).rejects.toThrow('append only')
  })
})

describe('a text that teaches a command which acts', () => {
  it.each(
    differenceKinds.flatMap((kind) => [
      { kind, outcome: null },
      { kind, outcome: 'person' as const },
    ]),
  )('names the operator, and does not advise what was just given up: $kind, $outcome', ({ kind, outcome }) => {
    const { toDo } = describeDifference({ kind, action: 'adopt', outcome, mode: 'act' })
    if (outcome === 'person') expect(toDo).not.toContain('--act')
    else expect(toDo).toContain('--act --as NAME --reason TEXT')
  })

  it('names the operator for receipts', () => {
    const receipt = { id: 'id', accountId: 'account', topic: 'order.paid', recipient: 'ada@example.com' }
    const dead = { ...receipt, createdAt: new Date(0), deadAt: new Date(0), attempts: 1, lastError: null }
    const text = describeReceipts({ receipts: [dead], inAll: 1 })
    expect(text).toContain('--send-again --as NAME --reason TEXT')
    expect(text).toContain('--dismiss --as NAME --reason TEXT')
  })
})

describe('the words', () => {
  const id = '0192f000-0000-7000-8000-000000000000'

  it.each([
    [[id], 'look'],
    [[id, '--fail'], 'fail'],
    [[id, '--cancel'], 'cancel'],
    [['receipts', id, '--dismiss'], 'dismiss'],
  ])('%j name a person and a reason', (words, kind) => {
    expect(readArguments([...words, '--as', ' Ada ', '--reason', 'ticket 7'])).toEqual({
      ...{ kind, id, amountMinor: null, operator: { name: 'Ada', reason: 'ticket 7' } },
    })
    expect(() => readArguments(words)).toThrow('Say who acts')
    expect(() => readArguments([...words, '--as', 'Ada', '--reason', ' '])).toThrow('Say who acts')
  })

  it.each([[['one']], [[id, id]], [[id, '--fail', '--cancel']], [['--fail']], [[id, '--dismiss']], [['receipts', id]]])(
    '%j are not understood',
    (words) => {
      expect(() => readArguments([...words, ...byAda])).toThrow('Usage')
    },
  )

  it('have a bound', () => {
    expect(() => readOperator({ as: 'a'.repeat(101), reason: 'ticket 7' })).toThrow('--as is longer than 100')
    expect(() => readOperator({ as: 'Ada', reason: 'a'.repeat(501) })).toThrow('--reason is longer than 500')
  })
})
