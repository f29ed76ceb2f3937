import { cancelOrder } from './cancel-order.ts'
import { createOrder } from './create-order.ts'
import { capturePayment, voidPayment } from './end-authorization.ts'
import type { PaymentOperations } from './operations.ts'
import { payOrder } from './pay-order.ts'
import type { PaymentDeps } from './payment-deps.ts'
import { findOrder, listOrders } from './read-orders.ts'
import { findPayment, listPayments } from './read-payments.ts'
import { findRefund, listAllRefunds, listRefunds } from './read-refunds.ts'
import { refundPayment } from './refund-payment.ts'
import { reviewPayment, reviewRefund } from './review.ts'

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
