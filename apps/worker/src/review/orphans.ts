import { parseArgs } from 'node:util'
import type { Orphan } from '@seatbelt/database'
import type { CommandResult, OrphanDecision, OrphanResolution, OrphanResolved } from '@seatbelt/payments'
import { operatorOptions, operatorUsage, readOperator } from '../operator-arguments.ts'

/** `review orphans`, and what may follow. */
export type OrphanCommand =
  | { readonly kind: 'list-orphans'; readonly orderId: string | null }
  | { readonly kind: 'resolve-orphan'; readonly decision: OrphanDecision }

const usage = `Usage: review orphans [--order ID], review orphans ID --adopt | --refund | --dismiss ${operatorUsage}
[--gateway-id ID]`

const resolutions: readonly OrphanResolution[] = ['adopt', 'refund', 'dismiss']
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Reads the arguments behind `orphans`. Fails with an Error that says what was wrong. */
export function readOrphanCommand(args: readonly string[]): OrphanCommand {
  const flag = { type: 'boolean' } as const
  const options = {
    ...operatorOptions,
    ...{ adopt: flag, refund: flag, dismiss: flag },
    ...({ 'gateway-id': { type: 'string' }, order: { type: 'string' } } as const),
  }
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [id, ...more] = positionals
  const { order: orderId = null, 'gateway-id': gatewayId = null } = values
  const isList = id === undefined && args.length === (orderId === null ? 0 : 2)
  if (isList && (orderId === null || uuid.test(orderId))) return { kind: 'list-orphans', orderId }
  const [resolution, ...others] = resolutions.filter((name) => values[name])
  if (!id || !uuid.test(id) || more.length > 0 || others.length > 0 || !resolution || orderId !== null)
    throw new Error(usage)
  return { kind: 'resolve-orphan', decision: { id, resolution, operator: readOperator(values), gatewayId } }
}

/** `inAll`: with those that are too many to list. */
export function describeOrphans(orphans: readonly Orphan[], inAll: number): string {
  if (orphans.length === 0) return 'There is no orphan.\n'
  const shown = orphans.length < inAll ? `, of which the oldest ${orphans.length} are` : ''
  const counted = `${countOfOrphans(inAll)} ${inAll === 1 ? 'waits' : 'wait'} for a person${shown}:`
  return `${[counted, ...orphans.map((orphan) => describe(orphan).join('\n'))].join('\n\n')}\n`
}

export function countOfOrphans(number: number): string {
  return number === 1 ? '1 orphan' : `${number} orphans`
}

function describe(orphan: Orphan): string[] {
  const { id, kind, amountMinor, currency, orderId, orderReference, accountId, foundAt, seen, why } = orphan
  const returning = orphan.refundClaimedAt && ['  under way  its money is being returned: repeat --refund to go on']
  const name = orphan.gatewayRefundId ?? orphan.gatewayIntentId ?? 'its id is not known'
  return [
    `orphan ${id}`,
    `  is         a ${kind} at the gateway of ${amountMinor} (minor units) ${currency}, account ${accountId}`,
    `  order      ${orderId ?? `not there; the gateway names it ${orderReference}`}`,
    `  gateway    ${name}, metadata name ${orphan.gatewayKey}: ${seen}`,
    `  found      ${foundAt.toISOString()} by ${orphan.foundBy}, because ${why}`,
    ...(returning ?? []),
    `  to do      npm run review -- orphans ${id} --adopt | --refund | --dismiss ${operatorUsage}`,
  ]
}

export function describeResolved(id: string, resolved: OrphanResolved): CommandResult {
  if (resolved.kind === 'not-found') return { text: `There is no orphan ${id}.\n`, exitCode: 2 }
  if (resolved.kind === 'left') return { text: `Nothing was done about orphan ${id}: ${resolved.why}.\n`, exitCode: 1 }
  return { text: `Done: orphan ${id} was ${resolved.detail}.\n`, exitCode: 0 }
}
