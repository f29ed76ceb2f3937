import { Counter, Gauge, Trend } from 'k6/metrics'

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
/** Bookings and payments that did not show what was done at the gateway's console. */
export const consoleHidden = new Counter('console_hidden')
/** Races of which both sides were told that they had won, or of which the gateway did what its winner did not ask for. */
export const racesWonTwice = new Counter('races_won_twice')

/** Forged events that were taken, or that had an effect. */
export const forgeriesTaken = new Counter('forgeries_taken')
/** Periods of subscriptions that were not invoiced and charged exactly once. */
export const periodsChargedWrong = new Counter('periods_charged_wrong')
/** Seats that more than one client was told to have: at the same moment by a hold, or for good by a booking. */
export const seatsGivenTwice = new Counter('seats_given_twice')
/** Checkouts that were paid for without a booking, or not exactly once for a booking. */
export const bookingsChargedWrong = new Counter('bookings_charged_wrong')
/** Their coverage: checkouts that were looked up at the gateway. */
export const checkoutsChecked = new Counter('checkouts_checked')
/** Looks at an event that showed more sold and held than there is, or less than nothing. */
export const availabilityWrong = new Counter('availability_wrong')
/** Their coverage. */
export const availabilityChecked = new Counter('availability_checked')
/** Seats and places that were booked and paid for. */
export const seatsSold = new Counter('seats_sold')
/** When, counted from the beginning of the test, once for each: what the seats sold for a second are read from. */
export const seatSoldAt = new Trend('seat_sold_at', true)
/** Time of the holds that were had, and of those that came too late. */
export const holdWon = new Trend('hold_won', true)
export const holdLost = new Trend('hold_lost', true)
/** Time of the checkouts that booked at their first answer; they wait for the gateway twice. */
export const checkoutDuration = new Trend('checkout', true)
/** What of all who wanted a seat and did not get it PostgreSQL had to be asked about, from 0 to 1. */
export const losersInDatabaseShare = new Gauge('losers_in_database_share')
/** What was neither sold nor held when a sale was over. */
export const seatsLeft = new Gauge('seats_left')

/** Looks at a seat map that had not changed, and was not sent again. */
export const mapsUnchanged = new Counter('maps_unchanged')

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
