import { createOrder } from './order/create-order.ts'
import { findOrder, listOrders } from './order/order-queries.ts'
import { cancelOrder } from './payment/cancel-order.ts'
import { capturePayment, voidPayment } from './payment/capture-or-void.ts'
import { payOrder } from './payment/pay-order.ts'
import { findPayment, listPayments } from './payment/payment-queries.ts'
import { refundPayment } from './refund/refund-payment.ts'
import { findRefund, listAllRefunds, listRefunds } from './refund/refund-queries.ts'
import { reviewPayment, reviewRefund } from './review/review.ts'
import { bindOperations } from './shared/bind-operations.ts'
import type { PaymentDeps } from './shared/payment-deps.ts'

/** The operations of the payments backend. The lab makes unsafe twins of them. */
export type PaymentOperations = ReturnType<typeof createPaymentOperations>

export function createPaymentOperations(deps: PaymentDeps) {
  const orders = { createOrder, payOrder, cancelOrder, findOrder, listOrders }
  const payments = { capturePayment, voidPayment, reviewPayment, findPayment, listPayments }
  const refunds = { refundPayment, reviewRefund, findRefund, listRefunds, listAllRefunds }
  return bindOperations(deps, { ...orders, ...payments, ...refunds })
}
