import { parseArgs } from 'node:util'
import type { Orphan } from '@seatbelt/database'
import type { CommandResult, Operator, OrphanDecision, OrphanResolution, OrphanResolved } from '@seatbelt/payments'
import { operatorOptions, readOperator } from '../operator-arguments.ts'

/** `review orphans`, and what may follow. */
export type OrphanCommand =
  | { readonly kind: 'list-orphans' }
  | { readonly kind: 'resolve-orphan'; readonly operator: Operator; readonly decision: OrphanDecision }

const usage =
  'Usage: review orphans, review orphans ID --adopt | --refund | --dismiss --as NAME --reason TEXT [--gateway-id ID]'

const resolutions: readonly OrphanResolution[] = ['adopt', 'refund', 'dismiss']
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Reads the arguments behind `orphans`. Fails with an Error that says what was wrong. */
export function readOrphanCommand(args: readonly string[]): OrphanCommand {
  const flag = { type: 'boolean' } as const
  const options = {
    ...operatorOptions,
    ...{ adopt: flag, refund: flag, dismiss: flag, 'gateway-id': { type: 'string' } as const },
  }
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [id, ...more] = positionals
  if (id === undefined && args.length === 0) return { kind: 'list-orphans' }
  const [resolution, ...others] = resolutions.filter((name) => values[name])
  if (!id || !uuid.test(id) || more.length > 0 || others.length > 0 || !resolution) throw new Error(usage)
  const operator = readOperator(values)
  const { 'gateway-id': gatewayId = null } = values
  const decision = { id, resolution, operator, gatewayId }
  return { kind: 'resolve-orphan', operator, decision }
}

export function describeOrphans(orphans: readonly Orphan[]): string {
  if (orphans.length === 0) return 'There is no orphan.\n'
  return `${orphans.map((orphan) => describe(orphan).join('\n')).join('\n\n')}\n`
}

function describe(orphan: Orphan): string[] {
  const { id, kind, amountMinor, currency, orderId, orderReference, accountId, foundAt, seen, why } = orphan
  const name = orphan.gatewayRefundId ?? orphan.gatewayIntentId ?? 'its id is not known'
  return [
    `orphan ${id}`,
    `  is         a ${kind} at the gateway of ${amountMinor} (minor units) ${currency}, account ${accountId}`,
    `  order      ${orderId ?? `not there; the gateway names it ${orderReference}`}`,
    `  gateway    ${name}, metadata name ${orphan.gatewayKey}: ${seen}`,
    `  found      ${foundAt.toISOString()} by ${orphan.foundBy}, because ${why}`,
    `  to do      npm run review -- orphans ${id} --adopt | --refund | --dismiss --as NAME --reason TEXT`,
  ]
}

export function describeResolved(id: string, resolved: OrphanResolved): CommandResult {
  if (resolved.kind === 'not-found') return { text: `There is no orphan ${id}.\n`, exitCode: 2 }
  if (resolved.kind === 'left') return { text: `Nothing was done about orphan ${id}: ${resolved.why}.\n`, exitCode: 1 }
  return { text: `Done: orphan ${id} was ${resolved.detail}.\n`, exitCode: 0 }
}
