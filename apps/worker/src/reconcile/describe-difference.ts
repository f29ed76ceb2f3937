import type { DifferenceKind, RepairAction } from '@seatbelt/domain'
import { operatorUsage } from '../operator-arguments.ts'

interface Described {
  readonly title: string
  readonly meaning: string
  readonly done: string
  readonly toDo: string | null
}

interface Difference {
  readonly kind: DifferenceKind
  readonly action: RepairAction
  readonly outcome: 'done' | 'under-way' | 'gone' | 'left' | 'person' | null
  readonly mode: 'report' | 'act'
}

/**
 * Says what a difference means, what was done about it, and what is to do: for a person who has not read the code.
 */
export function describeDifference({ kind, action, outcome, mode }: Difference): Described {
  const { title, meaning, byHand } = kinds[kind]
  return { title, meaning, done: describeDone(action, outcome, mode), toDo: describeToDo(action, outcome, byHand) }
}

interface Words {
  readonly title: string
  readonly meaning: string
  readonly byHand: string
}

const kinds: Readonly<Record<DifferenceKind, Words>> = {
  'charged-twice': {
    title: 'Charged twice',
    meaning: 'The order is paid by another charge that stands, and this one took money for it again.',
    byHand: 'See which of the two charges the customer should keep paying, and give the other back at the gateway.',
  },
  'orphan-unpaid-order': {
    title: 'Charged, and the order is unpaid',
    meaning: 'The gateway took money for an order that our books show as unpaid.',
    byHand:
      'It does not fit the order’s price: give it back at the gateway, or agree with the customer what it is for.',
  },
  'orphan-cancelled-order': {
    title: 'Charged, and the order is cancelled',
    meaning: 'The gateway took money for an order that was cancelled.',
    byHand: 'Unless the customer gets what was ordered after all, give it back at the gateway.',
  },
  'orphan-unknown-order': {
    title: 'Charged for no order of ours',
    meaning: 'What is written on the charge names no order in our books.',
    byHand: 'Find out which program, or person, charges by this gateway account.',
  },
  'uncaptured-orphan': {
    title: 'On hold for nothing',
    meaning: 'An amount is reserved on the customer’s card that no payment of ours will take.',
    byHand: 'Cancel the payment intent at the gateway. Do not refund: nothing was taken.',
  },
  'row-final-but-charged': {
    title: 'Charged, and our payment ended without money',
    meaning:
      'Our payment is final and says that it took nothing, or took it by another charge; its own intent took money.',
    byHand: 'Should never happen: follow the payment’s history, then give the charge back or enter it, by hand.',
  },
  'amount-differs': {
    title: 'Another amount',
    meaning: 'The gateway took another amount than our books say.',
    byHand: 'See at the gateway who captured it, then refund or charge the difference.',
  },
  missing: {
    title: 'Missing at the gateway',
    meaning: 'Our books show a payment that the gateway, asked for it by its id, does not show as succeeded.',
    byHand: 'See whether the worker talks to the right gateway account; else this order was delivered unpaid.',
  },
  'refunded-elsewhere': {
    title: 'Given back, and not through us',
    meaning: 'Somebody gave money back at the gateway; our books still count it as taken.',
    byHand:
      'Our books have no room for it, or it may be what a partial capture released. See there which of our refunds took the same money; until it is clear, the merchant’s balance is too high.',
  },
  'refunded-twice': {
    title: 'Given back twice',
    meaning: 'One refund of ours was given back a second time.',
    byHand: 'The customer has too much. Nothing can be called back: agree with the customer, or write it off.',
  },
  'refund-unbooked': {
    title: 'Given back, and our books say not',
    meaning: 'The gateway gave money back for a refund that our books call failed, or do not have.',
    byHand: 'Do not refund it again. The merchant’s balance in our books is too high by this.',
  },
  'refund-lost': {
    title: 'Sent back by the bank',
    meaning: 'A refund failed after it had succeeded, and the gateway’s event about it did not reach us.',
    byHand:
      'Our books do not know which of our refunds it is: find it by its id at the gateway. Pay the customer in another way.',
  },
  'refund-missing': {
    title: 'Refund missing at the gateway',
    meaning: 'Our books show a refund that the gateway, asked for it by its id, does not have.',
    byHand: 'See whether the worker talks to the right gateway account; else the customer did not get this.',
  },
  'refund-amount-differs': {
    title: 'Another amount given back',
    meaning: 'The gateway gave back another amount than our books say.',
    byHand: 'Refund the rest, or agree with the customer about what is too much.',
  },
  'dispute-unbooked': {
    title: 'Disputed, and our books do not show it',
    meaning: 'A customer disputes a payment at the bank, or the dispute has changed, and the event did not reach us.',
    byHand: 'Follow the dispute at the gateway: our payment took nothing, or took another currency.',
  },
}

const repairs: Readonly<Record<Exclude<RepairAction, 'person'>, { readonly done: string; readonly would: string }>> = {
  adopt: { done: 'Entered as the order’s payment.', would: 'enter it as the order’s payment' },
  refund: { done: 'Given back to the customer.', would: 'give it back to the customer' },
  'cancel-intent': { done: 'Released.', would: 'release it' },
  'enter-refund': { done: 'Entered as a refund of the payment.', would: 'enter it as a refund of the payment' },
  'enter-dispute': { done: 'Entered.', would: 'enter the dispute as the gateway shows it' },
  'reverse-refund': { done: 'Taken back in our books.', would: 'take the refund back in our books' },
}

function describeDone(action: RepairAction, outcome: Difference['outcome'], mode: Difference['mode']): string {
  switch (outcome) {
    case 'done':
      return action === 'person' ? 'Done.' : repairs[action].done
    case 'under-way':
      return 'The refund is on its way; the bank takes its time.'
    case 'gone':
      return 'Nothing: when it was looked at again, it did not differ any more.'
    case 'left':
      return 'Nothing yet: somebody is still at work on the order.'
    case 'person':
      return 'Nothing: on a closer look it is not for a program to decide.'
    case null:
      if (action === 'person') return 'Nothing: it is not for a program to decide.'
      return mode === 'act' ? 'Nothing yet.' : 'Nothing: this run only reports.'
    default:
      return outcome satisfies never
  }
}

function describeToDo(action: RepairAction, outcome: Difference['outcome'], byHand: string): string | null {
  switch (outcome) {
    case 'done':
      return action === 'reverse-refund' ? 'The customer has not got this money: pay in another way.' : null
    case 'gone':
      return null
    case 'under-way':
      return 'Nothing: the worker follows it, and a later report shows what came of it.'
    case 'left':
      return 'Run it again later.'
    case 'person':
      return byHand
    case null:
      return action === 'person'
        ? byHand
        : `npm run reconcile -- --act ${operatorUsage} would ${repairs[action].would}.`
    default:
      return outcome satisfies never
  }
}
