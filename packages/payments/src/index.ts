export { applyGatewayEvent, type EventResult } from './apply-gateway-event.ts'
export { type Billed, type BillingOptions, billHour } from './bill-hour.ts'
export { billingResource, drawBillingFence } from './billing-fence.ts'
export type { CheckoutSteps } from './checkout-steps.ts'
export { type ClaimedByOwner, claimPayment } from './claim-payment.ts'
export { createPaymentLayers, type LayerParts } from './create-payment-layers.ts'
export { createPaymentOperations } from './create-payment-operations.ts'
export { cancelMissingPayment, type EndedByOperator, failMissingRefund } from './end-missing.ts'
export { enqueueMessages, type Fact, type Receipt, type Topic, tellPayment, tellRefund } from './enqueue-messages.ts'
export {
  createStripeEventReader,
  type EventProblem,
  type ReadGatewayEvent,
  signatureToleranceSeconds,
} from './gateway/stripe-events.ts'
export { createStripeGateway } from './gateway/stripe-gateway.ts'
export type { GatewayEvent } from './gateway-event.ts'
export { makePutOffDue } from './make-put-off-due.ts'
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
} from './operations.ts'
export {
  leaseProblem,
  type PaymentDeps,
  type PaymentLayers,
  type PaymentPolicy,
  quorumProblem,
  startOwnLease,
} from './payment-deps.ts'
export { dueAt, isTimeZone, isWallTime } from './period.ts'
export { type Purgeable, purgeables, purgeBatchSize, purgeExpired } from './purge-expired.ts'
export { type BillingHour, readBillingHour } from './read-billing-hour.ts'
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
export { type Recovered, recoverLapsingHold, recoverPayment } from './recover-payment.ts'
export { type RecoveredRefund, recoverRefund } from './recover-refund.ts'
export { claimRefund, type RefundClaimedByOwner } from './refund-payment.ts'
export { resumePayment, resumeRefund } from './resume.ts'
export { type InReview, listInReview, type OperatorReview, reviewAsOperator } from './review.ts'
export { toCurrency, toOrder } from './rows.ts'
export { settleOwnStep } from './settle-payment.ts'
export { settleRefund } from './settle-refund.ts'
export {
  createSubscriptionOperations,
  type NewPaymentMethod,
  type NewSubscription,
  type SubscriptionOperations,
  type SubscriptionWithInvoices,
} from './subscription-operations.ts'
