export { createPaymentLayers, type LayerParts } from './create-payment-layers.ts'
export { createPaymentOperations } from './create-payment-operations.ts'
export { createStripeGateway } from './gateway/stripe-gateway.ts'
export { openPayments, type Payments, type PaymentsOptions } from './open-payments.ts'
export type { Listed, NewOrder, Page, PaymentOperations, PaymentWithHistory, Renderings, Result } from './operations.ts'
export {
  leaseProblem,
  type PaymentDeps,
  type PaymentLayers,
  type PaymentPolicy,
  quorumProblem,
} from './payment-deps.ts'
export { type Recovered, recoverPayment } from './recover-payment.ts'
