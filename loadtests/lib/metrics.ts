import { Counter, Trend } from 'k6/metrics'

/**
 * Time of the requests that paid: they wait for the gateway. A payment that was answered with 202 first is not in it; its
 * outcome comes later, as a replay.
 */
export const firstPayment = new Trend('first_payment', true)
/** Time from a client's first request to its final answer, however often it had to ask again. */
export const settledAfter = new Trend('settled_after', true)
/** When an order was paid, counted from the beginning of the test, once for each: what the goodput is read from. */
export const paidAt = new Trend('paid_at', true)
/** Time to an answer that was only read again. Mixed with the first, it would make payments look ten times as fast. */
export const replay = new Trend('replay', true)

/** Orders whose charges were looked up at the gateway: the coverage of `orders_charged_wrong`. */
export const ordersChecked = new Counter('orders_checked')
/** Orders without exactly one capture of the right amount. */
export const ordersChargedWrong = new Counter('orders_charged_wrong')
/** Payments whose refunds at the gateway are not those that were acknowledged, each once. */
export const paymentsRefundedWrong = new Counter('payments_refunded_wrong')
/** Races of which both sides were told that they had won, or of which the gateway did what its winner did not ask for. */
export const racesWonTwice = new Counter('races_won_twice')

/** Forged events that were taken, or that had an effect. */
export const forgeriesTaken = new Counter('forgeries_taken')
/** Periods of subscriptions that were not invoiced and charged exactly once. */
export const periodsChargedWrong = new Counter('periods_charged_wrong')
/** Requests that were told with 503 when to come again. */
export const toldToWait = new Counter('told_to_wait')
/** How long they had to wait for being told so. */
export const refusal = new Trend('refusal', true)

/** How often each of the gateway's faults hit, by its name. */
export const faultsFired = new Counter('faults_fired')

/** Copies that came to a final answer: the coverage of `copies_unsettled`. */
export const copiesSettled = new Counter('copies_settled')
/** Copies that had no final answer when their bound was reached. */
export const copiesUnsettled = new Counter('copies_unsettled')
/** Answers that the contract does not provide for. */
export const answersUnexpected = new Counter('answers_unexpected')

/** Iterations that ended with an exception. k6 alone would go on and exit with 0. */
export const scriptErrors = new Counter('script_errors')

/** What the auditor found at the end. */
export const auditViolations = new Counter('audit_violations')
/** Invariants that had something to look at and came to a verdict: the coverage of `audit_violations`. */
export const auditInvariantsJudged = new Counter('audit_invariants_judged')
/** Invariants without a verdict, or a verdict on the whole run that is unknown for another reason. */
export const auditInvariantsUnknown = new Counter('audit_invariants_unknown')
/** Pairs of attempts with one key (or for one order) that were certainly in flight at once. Without them, a run proves nothing. */
export const overlappingPairs = new Counter('overlapping_pairs')
