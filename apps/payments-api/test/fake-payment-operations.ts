import type { Order, Payment, Refusal } from '@seatbelt/domain'
import { renderings } from '@seatbelt/http'
import type { PaymentOperations, Result } from '@seatbelt/payments'

/** The account whose order there is; the other one exists too, and owns nothing. */
export const accountId = '0192f000-0000-7000-8000-000000000001'

export const order: Order = {
  id: '0192f000-0000-7000-8000-00000000000a',
  accountId,
  customerId: 'customer-1',
  amountMinor: 1999,
  currency: 'EUR',
  state: 'pending',
  version: 0,
  createdAt: new Date('2026-11-20T10:00:00.000Z'),
}

export const payment: Payment = {
  id: '0192f000-0000-7000-8000-00000000000b',
  accountId,
  orderId: order.id,
  amountMinor: 1999,
  currency: 'EUR',
  paymentMethod: 'pm_card_visa',
  state: 'processing',
  declineCode: null,
  gatewayIntentId: 'pi_1',
  createdAt: new Date('2026-11-20T10:00:01.000Z'),
  settledAt: null,
}

export const settledPayment: Payment = { ...payment, settledAt: new Date('2026-11-20T10:00:02.000Z') }

/**
 * Not an implementation of anything: it knows one order, writes down what it was asked, and answers a command with what
 * the test put into `next`. For checks of the HTTP layer only; what operations do is tested against the real ones.
 */
export function fakePaymentOperations() {
  const calls: { operation: string; arguments: unknown[] }[] = []
  const fake: { next: Result | Error | null } = { next: null }
  const owned = { [order.id]: order }

  async function command(operation: string, args: unknown[], fallback: () => Result): Promise<Result> {
    calls.push({ operation, arguments: args })
    if (fake.next instanceof Error) throw fake.next
    return fake.next ?? fallback()
  }
  function ifOwned(caller: string, orderId: string, result: Result): Result {
    const refusal: Refusal = { code: 'order-not-found', orderId }
    return caller === accountId && orderId in owned ? result : { kind: 'refused', refusal }
  }
  const looked = (operation: string, args: unknown[]) => calls.push({ operation, arguments: args })

  const operations: PaymentOperations = {
    createOrder: (...args) => command('createOrder', args, () => answered(renderings.orderCreated(order))),
    payOrder: (...args) =>
      command('payOrder', args, () => {
        const [{ accountId: caller }, { orderId }] = args
        const outcome = { state: 'succeeded', gatewayChargeId: 'ch_1' } as const
        return ifOwned(caller, orderId, answered(renderings.paymentSettled(settledPayment, outcome)))
      }),
    cancelOrder: (...args) =>
      command('cancelOrder', args, () => {
        const [{ accountId: caller }, orderId] = args
        return ifOwned(caller, orderId, answered(renderings.orderCancelled({ ...order, state: 'cancelled' })))
      }),
    findOrder: async (...args) => {
      looked('findOrder', args)
      return args[0] === accountId ? (owned[args[1]] ?? null) : null
    },
    findPayment: async (...args) => {
      looked('findPayment', args)
      if (args[0] !== accountId || args[1] !== payment.id) return null
      const at = new Date('2026-11-20T10:00:01.500Z')
      const event = { at, event: 'claimed', by: 'payments-api-1', generation: 1, gatewayRequestId: null, detail: null }
      return { payment, events: [event] }
    },
    listOrders: async (...args) => {
      looked('listOrders', args)
      return { items: [order], next: args[1].after === null ? order.id : null }
    },
    listPayments: async (...args) => {
      looked('listPayments', args)
      return { items: [payment], next: null }
    },
  }
  return { operations, calls, fake }
}

export function answered(answer: { status: number; body: string; location: string | null }, replayed = false): Result {
  return { kind: 'answered', answer, replayed }
}
