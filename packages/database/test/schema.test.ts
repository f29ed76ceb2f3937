import { freshDatabase } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type Database, describeSchema } from '../src/index.ts'

let fresh: Awaited<ReturnType<typeof freshDatabase>>
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase()
  database = createDatabase({ url: fresh.url, poolSize: 2, applicationName: 'schema-test' })
})
afterAll(async () => {
  await database?.close()
  await fresh?.close()
})

describe('the schema', () => {
  it('is what prisma/schema.sql shows', async () => {
    await expect(await describeSchema(fresh.url)).toMatchFileSnapshot('../../../prisma/schema.sql')
  })

  it('has every column that the generated client asks for, with its type', async () => {
    const { client } = database
    const models = [
      client.account,
      client.apiKey,
      client.order,
      client.payment,
      client.paymentEvent,
      client.idempotencyKey,
      client.transfer,
      client.dispute,
      client.refund,
      client.outboxMessage,
      client.webhookEndpoint,
      client.gatewayEvent,
      client.subscription,
      client.gatewayCustomer,
      client.invoice,
      client.lockFence,
      client.billingRun,
      client.reconciliationRun,
      client.reconciliationSighting,
      client.reconciliationFinding,
      client.operatorAction,
      client.event,
      client.eventSection,
      client.seat,
      client.tier,
      client.hold,
      client.booking,
      client.seatClaim,
      client.bookedSeat,
      client.orphan,
    ]
    // Each names all of its model's columns; one that is missing in the database is an error.
    for (const model of models) expect(await (model as typeof client.account).findMany({ take: 1 })).toEqual([])
    const tables = await client.$queryRaw<{ n: number }[]>`
      SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`
    expect(tables).toEqual([{ n: models.length }])
  })

  it('gives a reason for every constraint and index beyond the obvious ones', async () => {
    const silent = await database.client.$queryRaw`
      SELECT conname AS name FROM pg_constraint
       WHERE connamespace = 'public'::regnamespace AND contype = 'c' AND conrelid <> '_prisma_migrations'::regclass
         AND obj_description(oid, 'pg_constraint') IS NULL AND conname !~ '_length$'
      UNION ALL
      SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE c.relnamespace = 'public'::regnamespace AND NOT i.indisprimary AND obj_description(c.oid, 'pg_class') IS NULL
      UNION ALL
      SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NULL`
    expect(silent).toEqual([])
  })
})
