import type { Order, Payment, Refund, Refusal } from '@seatbelt/domain'
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
  purpose: 'merchant',
  receiptEmail: null,
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
  declinedBy: null,
  gatewayIntentId: 'pi_1',
  capturedMinor: 0,
  refundedMinor: 0,
  refundPendingMinor: 0,
  disputeState: null,
  disputedMinor: 0,
  createdAt: new Date('2026-11-20T10:00:01.000Z'),
  authorizedAt: null,
  settledAt: null,
}

export const refund: Refund = {
  id: '0192f000-0000-7000-8000-00000000000c',
  accountId,
  orderId: order.id,
  paymentId: payment.id,
  origin: 'merchant',
  amountMinor: 500,
  currency: 'EUR',
  reason: null,
  state: 'processing',
  failureCode: null,
  createdAt: new Date('2026-11-20T10:00:03.000Z'),
  settledAt: null,
  reversedAt: null,
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
  function endAuthorization(
    [{ accountId: caller }, paymentId]: Parameters<PaymentOperations['capturePayment']>,
    step: 'capture' | 'void',
  ): Result {
    if (caller !== accountId || paymentId !== payment.id)
      return { kind: 'refused', refusal: { code: 'payment-not-found', paymentId } }
    const outcome =
      step === 'capture'
        ? ({ state: 'succeeded', gatewayChargeId: 'ch_1', capturedMinor: payment.amountMinor } as const)
        : ({ state: 'voided', declineCode: null } as const)
    return answered(renderings.paymentSettled(settledPayment, outcome, step))
  }
  const looked = (operation: string, args: unknown[]) => calls.push({ operation, arguments: args })

  const operations: PaymentOperations = {
    createOrder: (...args) => command('createOrder', args, () => answered(renderings.orderCreated(order))),
    payOrder: (...args) =>
      command('payOrder', args, () => {
        const [{ accountId: caller }, { orderId }] = args
        const outcome = { state: 'succeeded', gatewayChargeId: 'ch_1', capturedMinor: payment.amountMinor } as const
        return ifOwned(caller, orderId, answered(renderings.paymentSettled(settledPayment, outcome, 'pay')))
      }),
    capturePayment: (...args) => command('capturePayment', args, () => endAuthorization(args, 'capture')),
    voidPayment: (...args) => command('voidPayment', args, () => endAuthorization(args, 'void')),
    refundPayment: async (...args) => {
      calls.push({ operation: 'refundPayment', arguments: args })
      const [{ accountId: caller }, { paymentId, amountMinor, reason }] = args
      if (caller !== accountId || paymentId !== payment.id)
        return { kind: 'refused', refusal: { code: 'payment-not-found', paymentId } }
      if (amountMinor === null) return { kind: 'unsettled', subject: refund }
      const outcome = { state: 'succeeded', gatewayRefundId: 're_1' } as const
      const succeeded: Refund = { ...refund, amountMinor, reason, state: 'succeeded', settledAt: payment.createdAt }
      return { kind: 'answered', answer: renderings.refundSettled(succeeded, outcome, null), replayed: false }
    },
    findRefund: async (...args) => {
      looked('findRefund', args)
      return args[0] === accountId && args[1] === refund.id ? refund : null
    },
    reviewRefund: async (...args) => {
      looked('reviewRefund', args)
      const refundId = args[1]
      if (args[0] === accountId && refundId === refund.id)
        return { kind: 'refused', refusal: { code: 'refund-not-in-review', refundId, state: refund.state } }
      return { kind: 'refused', refusal: { code: 'refund-not-found', refundId } }
    },
    listAllRefunds: async (...args) => {
      looked('listAllRefunds', args)
      return { items: [refund], next: args[1].after === null ? refund.id : null }
    },
    listRefunds: async (...args) => {
      looked('listRefunds', args)
      const [caller, { paymentId, after }] = args
      if (caller !== accountId || paymentId !== payment.id) return null
      return { items: [refund], next: after === null ? refund.id : null }
    },
    cancelOrder: (...args) =>
      command('cancelOrder', args, () => {
        const [{ accountId: caller }, orderId] = args
        return ifOwned(caller, orderId, answered(renderings.orderCancelled({ ...order, state: 'cancelled' }, null)))
      }),
    reviewPayment: async (...args) => {
      looked('reviewPayment', args)
      const paymentId = args[1]
      if (args[0] === accountId && paymentId === payment.id)
        return { kind: 'refused', refusal: { code: 'payment-not-in-review', paymentId, state: payment.state } }
      return { kind: 'refused', refusal: { code: 'payment-not-found', paymentId } }
    },
    findOrder: async (...args) => {
      looked('findOrder', args)
      return args[0] === accountId ? (owned[args[1]] ?? null) : null
    },
    findPayment: async (...args) => {
      looked('findPayment', args)
      if (args[0] !== accountId || args[1] !== payment.id) return null
      const at = new Date('2026-11-20T10:00:01.500Z')
      const nothingMore = { gatewayRequestId: null, detail: null, gatewayMessage: null, refundId: null }
      return {
        payment,
        disputes: [],
        events: [{ at, event: 'claimed', by: 'payments-api-1', generation: 1, ...nothingMore }],
      }
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
