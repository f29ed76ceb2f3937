import { cancelOrder } from './order/cancel-order.ts'
import { createOrder } from './order/create-order.ts'
import { findOrder, listOrders } from './order/order-queries.ts'
import { capturePayment, voidPayment } from './payment/capture-or-void.ts'
import { payOrder } from './payment/pay-order.ts'
import { findPayment, listPayments } from './payment/payment-queries.ts'
import { refundPayment } from './refund/refund-payment.ts'
import { findRefund, listAllRefunds, listRefunds } from './refund/refund-queries.ts'
import { reviewPayment, reviewRefund } from './review/review.ts'
import type { PaymentOperations } from './shared/operations.ts'
import type { PaymentDeps } from './shared/payment-deps.ts'

export function createPaymentOperations(deps: PaymentDeps): PaymentOperations {
  const { database } = deps
  return {
    createOrder: (call, order) => createOrder(deps, call, order),
    payOrder: (call, payment) => payOrder(deps, call, payment),
    capturePayment: (call, paymentId) => capturePayment(deps, call, paymentId),
    voidPayment: (call, paymentId) => voidPayment(deps, call, paymentId),
    refundPayment: (call, refund) => refundPayment(deps, call, refund),
    cancelOrder: (call, orderId) => cancelOrder(deps, call, orderId),
    reviewPayment: (accountId, paymentId) => reviewPayment(deps, accountId, paymentId),
    reviewRefund: (accountId, refundId) => reviewRefund(deps, accountId, refundId),
    findOrder: (accountId, orderId) => findOrder(database, accountId, orderId),
    findPayment: (accountId, paymentId) => findPayment(database, accountId, paymentId),
    listOrders: (accountId, page) => listOrders(database, accountId, page),
    listPayments: (accountId, page) => listPayments(database, accountId, page),
    findRefund: (accountId, refundId) => findRefund(database, accountId, refundId),
    listAllRefunds: (accountId, page) => listAllRefunds(database, accountId, page),
    listRefunds: (accountId, page) => listRefunds(database, accountId, page),
  }
}
