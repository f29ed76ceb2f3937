import { environment } from './environment.ts'

type Thresholds = Record<string, string[]>

/**
 * The thresholds that every proof here has. A counter that nobody touched passes `count==0`, so each "none" stands
 * beside the coverage that makes it mean something.
 */
export function proofThresholds(expected: { ordersChecked: number; copiesSettled: number }): Thresholds {
  return {
    script_errors: ['count==0'],
    orders_charged_wrong: ['count==0'],
    orders_checked: [`count==${expected.ordersChecked}`],
    copies_unsettled: ['count==0'],
    copies_settled: [`count==${expected.copiesSettled}`],
    answers_unexpected: ['count==0'],
    audit_violations: ['count==0'],
    audit_invariants_unknown: ['count==0'],
    audit_invariants_judged: ['count>0'],
    overlapping_pairs: ['count>0'],
  }
}

/** The same for loads that sell seats. What each of them must have met besides stands in its script. */
export function seatThresholds(): Thresholds {
  return {
    script_errors: ['count==0'],
    seats_given_twice: ['count==0'],
    bookings_charged_wrong: ['count==0'],
    checkouts_checked: ['count>0'],
    seats_sold: ['count>0'],
    copies_unsettled: ['count==0'],
    copies_settled: ['count>0'],
    answers_unexpected: ['count==0'],
    audit_violations: ['count==0'],
    audit_invariants_unknown: ['count==0'],
    audit_invariants_judged: ['count>0'],
    overlapping_pairs: ['count>0'],
  }
}

/**
 * How many requests k6 keeps in flight. By default it is 6 per host, which would turn ten copies into a queue. The
 * reserve is for the gateway and the auditor, whose connections should stay open too.
 */
function batchLimits(): { batch: number; batchPerHost: number } {
  const reserve = 4
  return { batch: environment.copies + reserve, batchPerHost: environment.copies + reserve }
}

/** What else the scripts have in common: statistics for the summary, time for setup and for the auditor's last word. */
export const commonOptions = {
  ...batchLimits(),
  summaryTrendStats: ['min', 'med', 'p(90)', 'p(99)', 'max', 'count'],
  // Setup creates orders one by one at worst; teardown waits until nothing is being processed any more.
  setupTimeout: '120s',
  teardownTimeout: '180s',
}
