import { parseArgs } from 'node:util'
import type { Operator } from '@seatbelt/payments'
import { operatorOptions, operatorUsage, readOperator } from '../operator-arguments.ts'
import { type OrphanCommand, readOrphanCommand } from './orphans.ts'

const flagNames = ['fail', 'cancel', 'cancel-without-refund', 'refunded-outside', 'send-again', 'dismiss'] as const

export type ReviewCommand =
  | { readonly kind: 'list' }
  | { readonly kind: 'list-receipts' }
  | ActCommand
  | EnterRefundCommand
  | OrphanCommand

export interface ActCommand {
  readonly kind: 'look' | (typeof flagNames)[number]
  /** Null: all dead receipts. */
  readonly id: string | null
  /** Of a refund outside of the gateway. Null: all that is left. */
  readonly amountMinor: number | null
  readonly operator: Operator
}

export interface EnterRefundCommand {
  readonly kind: 'enter-refund'
  /** Of the payment. */
  readonly id: string
  /** At the gateway. */
  readonly gatewayRefundId: string
  readonly operator: Operator
}

export const usage = `Usage: review [ID of a payment or a refund], review REFUND-ID --fail, review PAYMENT-ID --cancel,
review PAYMENT-ID --enter-refund re_..., review PAYMENT-ID --refunded-outside [--amount MINOR-UNITS],
review BOOKING-ID --cancel-without-refund, review receipts, review receipts [ID] --send-again,
review receipts ID --dismiss, review orphans [--order ID], review orphans ID --adopt | --refund | --dismiss. Without
more words, it lists what waits. Everything else needs ${operatorUsage}.`

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Fails with an Error that says what was wrong. */
export function readArguments(argv: readonly string[]): ReviewCommand {
  if (argv[0] === 'orphans') return readOrphanCommand(argv.slice(1))
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      ...operatorOptions,
      fail: { type: 'boolean' },
      cancel: { type: 'boolean' },
      'cancel-without-refund': { type: 'boolean' },
      'refunded-outside': { type: 'boolean' },
      amount: { type: 'string' },
      'send-again': { type: 'boolean' },
      dismiss: { type: 'boolean' },
      'enter-refund': { type: 'string' },
    },
  })
  const isAboutReceipts = positionals[0] === 'receipts'
  const [id = null, ...further] = isAboutReceipts ? positionals.slice(1) : positionals
  const flags = flagNames.filter((flag) => values[flag])
  if (further.length > 0 || flags.length > 1 || (id !== null && !uuid.test(id))) throw new Error(usage)
  const [flag] = flags
  const gatewayRefundId = values['enter-refund']
  if (gatewayRefundId !== undefined) {
    if (flag !== undefined || isAboutReceipts || id === null) throw new Error(usage)
    return { kind: 'enter-refund', id, gatewayRefundId, operator: readOperator(values) }
  }
  if (flag === undefined && isAboutReceipts && id === null) return { kind: 'list-receipts' }
  if (flag === undefined && id === null) return { kind: 'list' }
  const kind = flag ?? 'look'
  const isReceiptAction = kind === 'send-again' || kind === 'dismiss'
  if (isReceiptAction !== isAboutReceipts || (id === null && kind !== 'send-again')) throw new Error(usage)
  if (values.amount !== undefined && (kind !== 'refunded-outside' || !/^[1-9]\d{0,7}$/.test(values.amount)))
    throw new Error(usage)
  const amountMinor = values.amount === undefined ? null : Number(values.amount)
  return { kind, id, amountMinor, operator: readOperator(values) }
}
