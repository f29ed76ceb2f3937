import { cancelOrder } from './cancel-order.ts'
import { createOrder } from './create-order.ts'
import type { PaymentOperations } from './operations.ts'
import { payOrder } from './pay-order.ts'
import type { PaymentDeps } from './payment-deps.ts'
import { findOrder, listOrders } from './read-orders.ts'
import { findPayment, listPayments } from './read-payments.ts'

export function createPaymentOperations(deps: PaymentDeps): PaymentOperations {
  const { database } = deps
  return {
    createOrder: (call, order) => createOrder(deps, call, order),
    payOrder: (call, payment) => payOrder(deps, call, payment),
    cancelOrder: (call, orderId) => cancelOrder(deps, call, orderId),
    findOrder: (accountId, orderId) => findOrder(database, accountId, orderId),
    findPayment: (accountId, paymentId) => findPayment(database, accountId, paymentId),
    listOrders: (accountId, page) => listOrders(database, accountId, page),
    listPayments: (accountId, page) => listPayments(database, accountId, page),
  }
}
