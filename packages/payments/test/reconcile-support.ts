import { randomUUID } from 'node:crypto'
import { developmentAccounts } from '@seatbelt/database'
import type { Gateway, IntentParameters } from '@seatbelt/safety'
import { createStripeGateway, type ReconcileDeps, readRun, reconcile } from '../src/index.ts'
import { refundsAtGateway } from './refund-support.ts'
import { gatewayDeadlineMs, type Replica, type Shop } from './shop.ts'

/** The gateway as somebody has it who is not one of our processes: a zombie's twin, a dashboard, another program. */
export interface Stranger {
  readonly gateway: Gateway
  /** Charges a card, with our ids written on it. */
  charge(orderId: string, how?: Partial<IntentParameters>): Promise<{ intentId: string; chargeId: string }>
  /** Gives back without saying for which refund of ours. */
  giveBack(intentId: string, amountMinor: number, metadata?: Record<string, string>): Promise<string>
  close(): Promise<void>
}

const accountId = developmentAccounts[0].id

export function openStranger(shop: Shop): Stranger {
  const gateway = createStripeGateway({
    url: shop.gatewayUrl,
    apiKey: 'sk_test_dev_only',
    deadlineMs: gatewayDeadlineMs,
    maxConnections: 8,
  })
  return {
    gateway,
    charge: async (orderId, how = {}) => {
      const metadata = { paymentId: randomUUID(), orderId, accountId }
      const parameters: IntentParameters = {
        ...{ amountMinor: 4_200, currency: 'EUR', paymentMethod: 'pm_card_visa', metadata },
        ...how,
      }
      const created = await gateway.createIntent(parameters, randomUUID())
      if (created.kind !== 'intent') throw new Error(`not created: ${JSON.stringify(created)}`)
      const confirmed = await gateway.confirmIntent(created.intent.id, parameters, randomUUID())
      if (confirmed.kind !== 'intent') throw new Error(`not confirmed: ${JSON.stringify(confirmed)}`)
      return { intentId: created.intent.id, chargeId: confirmed.intent.chargeId ?? '' }
    },
    giveBack: async (intentId, amountMinor, metadata) => {
      const body = new URLSearchParams({ payment_intent: intentId, amount: `${amountMinor}` })
      for (const [name, value] of Object.entries(metadata ?? {})) body.set(`metadata[${name}]`, value)
      const response = await fetch(`${shop.gatewayUrl}/v1/refunds`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk_test_dev_only', 'content-type': 'application/x-www-form-urlencoded' },
        body,
      })
      const answer = (await response.json()) as { id: string }
      if (!response.ok) throw new Error(`not given back: ${JSON.stringify(answer)}`)
      return answer.id
    },
    close: () => gateway.close(),
  }
}

export interface Reconciler {
  readonly deps: ReconcileDeps
  /** What a run found about this order, and what came of it. */
  run(mode: 'report' | 'act'): Promise<FoundIn>
}

export interface FoundIn {
  readonly runId: string
  readonly standing: number
  about(subjectId: string): { kind: string; action: string; outcome: string | null; gateway: number; books: number }[]
}

/** Reconciliation without the wait until things are old: what that is for has a test of its own. */
export function openReconciler(
  replica: Replica,
  gateway: Gateway,
  parts: Partial<Omit<ReconcileDeps, 'payments' | 'gateway'>> = {},
): Reconciler {
  const deps: ReconcileDeps = { payments: replica.deps, gateway, judgedAfterMs: 0, pageSize: 100, ...parts }
  return {
    deps,
    run: async (mode) => {
      const result = await reconcile(deps, { mode, from: null, to: null })
      if (result.kind !== 'finished') throw new Error(`not finished: ${JSON.stringify(result)}`)
      return found(replica, result.runId)
    },
  }
}

export async function found({ database }: Pick<Replica, 'database'>, runId: string): Promise<FoundIn> {
  const { findings, standing } = await readRun(database, runId)
  return {
    runId,
    standing,
    about: (subjectId) =>
      findings
        .filter(({ orderId, gatewayChargeId, gatewayRefundId }) =>
          [orderId, gatewayChargeId, gatewayRefundId].includes(subjectId),
        )
        .map(({ kind, action, outcome, gatewayAmountMinor, booksAmountMinor }) => ({
          ...{ kind, action, outcome },
          ...{ gateway: gatewayAmountMinor ?? 0, books: booksAmountMinor ?? 0 },
        })),
  }
}

export function repairsIn(shop: Shop, orderId: string) {
  return shop.sql<{ state: string; amount: number }>(
    `SELECT state::text, amount_minor AS amount FROM refunds WHERE order_id = $1 AND origin = 'reconciliation'`,
    [orderId],
  )
}

export async function stateIn(shop: Shop, orderId: string): Promise<string | undefined> {
  const [row] = await shop.sql<{ state: string }>('SELECT state::text FROM orders WHERE id = $1', [orderId])
  return row?.state
}

/** What the gateway has taken for the order and not given back. */
export async function keptIn(shop: Shop, orderId: string): Promise<number> {
  const sum = (items: readonly { amountMinor: number }[]) =>
    items.reduce((all, { amountMinor }) => all + amountMinor, 0)
  const refunds = await refundsAtGateway(shop, orderId)
  return sum(await shop.charges(orderId)) - sum(refunds.filter(({ status }) => status !== 'failed'))
}

/** Lets the lease of the run that was broken off run out, as time would. */
export async function letRunLeaseRunOut(shop: Shop): Promise<void> {
  await shop.sql(
    `UPDATE reconciliation_runs SET leased_until = now() - interval '1 second' WHERE leased_until IS NOT NULL`,
  )
}
