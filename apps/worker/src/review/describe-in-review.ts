import type { InReview } from '@seatbelt/payments'
import { operatorUsage } from '../operator-arguments.ts'
import { countOfReceipts } from './describe-receipts.ts'
import { countOfOrphans } from './orphans.ts'

/** How many wait in the lists of their own. */
export interface WaitingElsewhere {
  readonly orphans: number
  readonly receipts: number
}

/** What waits for a person, and what that person can do. For a terminal. */
export function describeInReview(items: readonly InReview[], now: Date, elsewhere: WaitingElsewhere): string {
  const others = describeElsewhere(elsewhere)
  if (items.length === 0) return others === '' ? 'Nothing waits for a person.\n' : others
  const blocks = items.map((item) => describe(item, now).join('\n'))
  const listed = [`${count(items)}, the oldest of each kind first:`, '', ...blocks.flatMap((block) => [block, ''])]
  return listed.join('\n') + others
}

function describeElsewhere({ orphans, receipts }: WaitingElsewhere): string {
  const wait = orphans === 1 ? 'waits' : 'wait'
  const ofOrphans = `${countOfOrphans(orphans)} ${wait} for a person: npm run review -- orphans\n`
  const ofReceipts = `${countOfReceipts(receipts)} given up: npm run review -- receipts\n`
  return (orphans > 0 ? ofOrphans : '') + (receipts > 0 ? ofReceipts : '')
}

function count(items: readonly InReview[]): string {
  const payments = items.filter(({ kind }) => kind === 'payment').length
  const parts = [of(payments, 'payment'), of(items.length - payments, 'refund')].filter((part) => part !== null)
  return `${parts.join(' and ')} ${items.length === 1 ? 'waits' : 'wait'} for a person`
}

function of(number: number, noun: string): string | null {
  return number === 0 ? null : `${number} ${noun}${number === 1 ? '' : 's'}`
}

function describe(item: InReview, now: Date): string[] {
  const { id, amountMinor, currency, orderId, accountId } = item.kind === 'payment' ? item.payment : item.refund
  const lines = [
    `${item.kind} ${id}`,
    `  open for   ${age(item.openSince, now)}, since ${item.openSince.toISOString()}; looks without an outcome: ${item.looks}`,
    `  is about   ${aim(item)} of ${amountMinor} (minor units) ${currency}, order ${orderId}, account ${accountId}`,
    `  gateway    ${atGateway(item)}`,
    '  last lines of its history:',
    ...item.history.map(
      ({ at, event, detail, gatewayMessage, by, gatewayRequestId }) =>
        `    ${at.toISOString()}  ${[event, detail, gatewayMessage].filter(Boolean).join(': ')}  (${[by, gatewayRequestId].filter(Boolean).join(', ')})`,
    ),
    `  to do      ${advice(item)}`,
    `             npm run review -- ${id} ${operatorUsage}`,
  ]
  return lines
}

function aim(item: InReview): string {
  if (item.kind === 'refund') return 'a refund'
  const aims: Readonly<Record<string, string>> = {
    ...{ charge: 'a charge', authorize: 'a hold', capture: 'the capture', void: 'the release' },
  }
  return aims[item.goal] ?? item.goal
}

function atGateway(item: InReview): string {
  if (item.kind === 'payment') return item.payment.gatewayIntentId ?? 'no intent is stored: nothing can have been taken'
  return item.gatewayRefundId ?? `not seen yet, of ${item.gatewayIntentId}`
}

/**
 * No row is marked by hand here: what is true at the gateway, and what is not there, becomes true in the books by
 * looking.
 */
function advice(item: InReview): string {
  if (item.kind === 'refund') {
    return item.gatewayRefundId === null
      ? "look for it among that intent's refunds, by metadata.refundId; if it is not there, refund it there with that metadata; or, with --fail, call it failed; then:"
      : "see at the gateway's page of it what it waits for; once it has succeeded or failed there:"
  }
  return item.payment.gatewayIntentId === null
    ? 'see why the gateway does not answer; then:'
    : "bring it to an end on the gateway's page of it (succeeded in full, or cancelled); a webhook or the hourly look settles it, or at once (with --cancel, where the gateway has no such intent):"
}

function age(since: Date, now: Date): string {
  const hours = Math.floor((now.getTime() - since.getTime()) / 3_600_000)
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`
}
