import { randomUUID } from 'node:crypto'
import { createPaymentOperations, recoverPayment } from '@seatbelt/payments'
import { eventually } from '@seatbelt/testing'
import { expect, it } from 'vitest'
import { accountId, call, newPayment } from '../../../packages/payments/test/shop.ts'
import { closers, openWorld, startApi } from './gateway-world.ts'

it('a process that stops leaves no lease: recovery takes its payments at once, and charges once', async () => {
  const world = await openWorld()
  const api = await startApi(world)
  const { answer: order } = await api.createOrder()
  const stopping = world.open('stopping').payments
  const worker = world.open('worker').payments
  const confirm = world.proxy.intercept({ matches: ({ text }) => text.includes('/confirm'), at: 'answer' })
  const request = newPayment({ orderId: order.id })
  const paying = createPaymentOperations(stopping.deps).payOrder(call(randomUUID(), request, accountId), request)
  await confirm.reached()

  expect(await recoverPayment(worker.deps)).toBeNull()
  closers.splice(closers.indexOf(stopping.close), 1)
  await stopping.close()
  // Its lease would last for five minutes.
  const recovered = await eventually('it is recovered', () => recoverPayment(worker.deps), { boundMs: 20_000 })
  expect(recovered.result.kind).toBe('answered')
  expect(await world.charges(order.id)).toBe(1)
  confirm.cut()
  await paying
})
