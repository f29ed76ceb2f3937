import { allowsRefunds, type Dispute } from '../dispute.ts'
import { unixSeconds } from './stripe-values.ts'

/** How long a merchant can answer. Card networks give 7 to 21 days. */
const answerDays = 14

/** The dispute as Stripe writes it. Its fee is left out: no fee is simulated. */
export function renderDispute(dispute: Dispute): object {
  const dueBy = new Date(Date.parse(dispute.createdAt) + answerDays * 24 * 3_600_000).toISOString()
  return {
    id: dispute.id,
    object: 'dispute',
    amount: dispute.amountMinor,
    balance_transactions: dispute.movements.map((movement, at) => ({
      id: `txn_${dispute.id.slice(3)}${at}`,
      object: 'balance_transaction',
      amount: movement.amountMinor,
      available_on: unixSeconds(movement.at),
      balance_type: 'payments',
      created: unixSeconds(movement.at),
      currency: dispute.currency.toLowerCase(),
      description: null,
      exchange_rate: null,
      fee: 0,
      fee_details: [],
      net: movement.amountMinor,
      reporting_category: movement.amountMinor < 0 ? 'dispute' : 'dispute_reversal',
      source: dispute.id,
      status: 'available',
      type: 'adjustment',
    })),
    charge: dispute.chargeId,
    created: unixSeconds(dispute.createdAt),
    currency: dispute.currency.toLowerCase(),
    enhanced_eligibility_types: [],
    evidence: { enhanced_evidence: {} },
    evidence_details: {
      due_by: unixSeconds(dueBy),
      enhanced_eligibility: {},
      has_evidence: dispute.status === 'under_review',
      past_due: false,
      submission_count: dispute.status === 'under_review' ? 1 : 0,
    },
    intended_submission_method: null,
    is_charge_refundable: allowsRefunds(dispute),
    livemode: false,
    metadata: {},
    payment_intent: dispute.intentId,
    reason: dispute.reason,
    status: dispute.status,
  }
}
