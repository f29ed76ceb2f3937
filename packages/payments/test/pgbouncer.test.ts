import { randomUUID } from 'node:crypto'
import { findPgBouncer, startPgBouncer } from '@seatbelt/testing'
import { expect, it } from 'vitest'
import { brief, openShop } from './shop.ts'

const binary = findPgBouncer()
/** `PGBOUNCER_PAYMENTS=1000` for a longer run by hand. */
const orders = Number(process.env.PGBOUNCER_PAYMENTS ?? 100)
const atOnce = 10

it.skipIf(binary === null)(
  'payments over fewer server connections than clients, of a PgBouncer in transaction mode, are each made once',
  async () => {
    const shop = await openShop()
    const bouncer = await startPgBouncer(binary ?? '', shop.databaseUrl, { default_pool_size: 4, max_client_conn: 200 })
    try {
      const databaseUrl = bouncer.url
      const replicas = await Promise.all(
        ['api-1', 'api-2'].map((by) => shop.replica(by, { databaseUrl, prepared: false })),
      )
      const [one, two] = replicas
      if (!one || !two) throw new Error('two replicas were asked for')
      let left = orders
      const buy = async () => {
        while (left-- > 0) {
          const orderId = await one.createOrder()
          const key = randomUUID()
          const copies = await Promise.all([one.pay(orderId, key), two.pay(orderId, key)])
          expect(copies.map(brief)).toContain('answered 201')
          expect(await one.pay(orderId, key)).toMatchObject({ kind: 'answered', replayed: true })
        }
      }
      await Promise.all(Array.from({ length: atOnce }, buy))
      expect([...one.faults, ...two.faults]).toEqual([])
      const booked = await shop.sql<{ payments: number; orders: number }>(
        `SELECT count(*)::int AS payments, count(DISTINCT order_id)::int AS orders FROM payments WHERE state = 'succeeded'`,
      )
      expect(booked).toEqual([{ payments: orders, orders }])
      const charged = await shop.sql<{ orderId: string }>('SELECT id AS "orderId" FROM orders')
      for (const { orderId } of charged) expect(await shop.charges(orderId)).toHaveLength(1)
    } finally {
      await shop.closeReplicas('api')
      await bouncer.close()
      await shop.close()
    }
  },
  120_000,
)
