import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMortal } from './crash-points.ts'
import { openShop, type Shop } from './shop.ts'

/** The tests of crashes stand on this: that a killed process leaves what a killed process would leave. */
let shop: Shop
beforeAll(async () => {
  shop = await openShop()
})
afterAll(() => shop?.close())

async function mortalReplica(by: string) {
  const mortal = createMortal()
  return { mortal, replica: await shop.replica(by, mortal.parts) }
}

const paymentsOf = (orderId: string) => shop.sql('SELECT 1 FROM payments WHERE order_id = $1', [orderId])

describe('a process that is killed', () => {
  it('just before a COMMIT has changed nothing, and just after it everything', async () => {
    for (const [point, payments] of [
      ['before commit 1', 0],
      ['after commit 1', 1],
    ] as const) {
      const { mortal, replica } = await mortalReplica(point)
      const orderId = await replica.createOrder()
      await mortal.dieAt(point, () => replica.pay(orderId))
      expect(await paymentsOf(orderId)).toHaveLength(payments)
      expect(await shop.charges(orderId)).toHaveLength(0)
    }
  })

  it('just before a request has not sent it, and just after it has had its effect', async () => {
    for (const [point, charges] of [
      ['before confirmIntent 1', 0],
      ['after confirmIntent 1', 1],
    ] as const) {
      const { mortal, replica } = await mortalReplica(point)
      const orderId = await replica.createOrder()
      await mortal.dieAt(point, () => replica.pay(orderId))
      expect(await shop.charges(orderId)).toHaveLength(charges)
    }
  })

  it('touches nothing any more', async () => {
    const { mortal, replica } = await mortalReplica('dead')
    const orderId = await replica.createOrder()
    await mortal.dieAt('before statement 1', () => replica.pay(orderId))
    await expect(replica.pay(orderId)).rejects.toThrow('the process is dead')
    await expect(mortal.around('anything', async () => 'done')).rejects.toThrow('the process is dead')
    expect(await paymentsOf(orderId)).toHaveLength(0)
  })

  it('at a point that the operation does not pass was not killed, and the test is told', async () => {
    const { mortal, replica } = await mortalReplica('immortal')
    const orderId = await replica.createOrder()
    await expect(mortal.dieAt('after refundIntent 1', () => replica.pay(orderId))).rejects.toThrow(
      "never came to 'after refundIntent 1', only to: before statement 1",
    )
  })
})
