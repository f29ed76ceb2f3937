export { createPaymentLayers, type LayerParts } from './create-payment-layers.ts'
export { createPaymentOperations } from './create-payment-operations.ts'
export {
  createStripeEventReader,
  type EventProblem,
  type ReadGatewayEvent,
  signatureToleranceSeconds,
} from './gateway/stripe-events.ts'
export { createStripeGateway } from './gateway/stripe-gateway.ts'
export { applyGatewayEvent, type EventResult } from './gateway-events/apply-gateway-event.ts'
export type { GatewayEvent } from './gateway-events/gateway-event.ts'
export {
  enqueueMessages,
  type Fact,
  type Receipt,
  type Topic,
  tellPayment,
  tellRefund,
} from './messages/enqueue-messages.ts'
export {
  type Channel,
  createRelay,
  type Message,
  maxAttempts,
  type Relayed,
  type RelayOptions,
  type RelayTimes,
  relayLeaseProblem,
} from './messages/relay-message.ts'
export { SendFailure } from './messages/send-failure.ts'
export { createReceiptSender, type ReceiptSenderOptions } from './messages/send-receipt.ts'
export { createWebhookSender, type WebhookSender, type WebhookSenderOptions } from './messages/send-webhook.ts'
export {
  createWebhookOperations,
  type DeliveryPage,
  type NewWebhookEndpoint,
  type WebhookOperations,
} from './messages/webhook-operations.ts'
export { addressProblem, type WebhookTargets, webhookUrlProblem } from './messages/webhook-targets.ts'
export { lanesProblem, openPayments, type Payments, type PaymentsOptions } from './open-payments.ts'
export { type ClaimedByOwner, claimPayment } from './payment/claim-payment.ts'
export { type Recovered, recoverLapsingHold, recoverPayment } from './payment/recover-payment.ts'
export { settleOwnStep } from './payment/settle-payment.ts'
export {
  type RunWithFindings,
  readRun,
  readStandingDifferences,
  type StandingDifferences,
} from './reconcile/read-run.ts'
export { type Reconciled, reconcile } from './reconcile/reconcile.ts'
export { defaultPageSize, judgedAfterMs, type ReconcileDeps } from './reconcile/reconcile-deps.ts'
export {
  type Compared,
  type ReconciliationReport,
  type ReportedFinding,
  toReport,
  unknownReport,
} from './reconcile/reconciliation-report.ts'
export type { RunRequest } from './reconcile/runs.ts'
export { type RecoveredRefund, recoverRefund } from './refund/recover-refund.ts'
export { claimRefund, type RefundClaimedByOwner } from './refund/refund-payment.ts'
export { settleRefund } from './refund/settle-refund.ts'
export { cancelMissingPayment, type EndedByOperator, failMissingRefund } from './review/close-missing.ts'
export { type InReview, listInReview, type OperatorReview, reviewAsOperator } from './review/review.ts'
export type {
  Listed,
  NewOrder,
  NewPaymentRequest,
  NewRefundRequest,
  Page,
  PaymentOperations,
  PaymentPage,
  PaymentStep,
  PaymentWithHistory,
  RefundResult,
  RefundReviewResult,
  Renderings,
  Result,
  ReviewResult,
} from './shared/operations.ts'
export {
  leaseProblem,
  type PaymentDeps,
  type PaymentLayers,
  type PaymentPolicy,
  quorumProblem,
  startOwnLease,
} from './shared/payment-deps.ts'
export { type Purgeable, purgeables, purgeBatchSize, purgeExpired } from './shared/purge-expired.ts'
export type { CheckoutSteps } from './shared/purposes.ts'
export { resumePayment, resumeRefund } from './shared/resume.ts'
export { makePutOffDue } from './shared/retry-postponed-now.ts'
export { toCurrency, toOrder } from './shared/rows.ts'
export { type Billed, type BillingOptions, billHour } from './subscription/bill-hour.ts'
export { billingResource, drawBillingFence } from './subscription/billing-fence.ts'
export { dueAt, isTimeZone, isWallTime } from './subscription/period.ts'
export { type BillingHour, readBillingHour } from './subscription/read-billing-hour.ts'
export {
  createSubscriptionOperations,
  type NewPaymentMethod,
  type NewSubscription,
  type SubscriptionOperations,
  type SubscriptionWithInvoices,
} from './subscription/subscription-operations.ts'
