import { createHash } from 'node:crypto'
import { type Sql, sql, type Tx } from '@seatbelt/database'
import { type Call, type GatewayCustomer, inProgressRetryAfterSeconds, type Refusal } from '@seatbelt/domain'
import { type CustomerAnswer, guardTransaction, type NotAdmitted, type Refused } from '@seatbelt/safety'
import { enqueueMessages } from '../messages/enqueue-messages.ts'
import type { Result } from '../shared/operations.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { unlocked } from '../shared/unlocked.ts'
import { lockSubscription, moveSubscription } from './subscription-to-decide.ts'

export interface NewGatewayCustomer {
  /** The merchant's own name for the customer. */
  readonly customerId: string
  /** An existing customer of the gateway; null: a new one is created there. */
  readonly gatewayCustomerId: string | null
}

/**
 * Makes a customer at the gateway the account's own, once per key. Only such customers are charged by subscriptions.
 *
 * All accounts share one account at the gateway, and its ids are no secrets. So an account cannot just name a customer:
 * either the customer is created here, with the account in its metadata, or its metadata at the gateway name the
 * account already. Only a holder of the gateway's key can write them.
 *
 * Guarantees: a customer belongs to one account for good (`gateway_customers_pkey`). Subscriptions of the account that
 * were paused because this was not known are active again.
 * Does not guarantee: that a request that failed has created no customer at the gateway. That moves no money, and the
 * same request meets the same customer for a day.
 */
export async function registerGatewayCustomer(
  deps: PaymentDeps,
  call: Call,
  request: NewGatewayCustomer,
): Promise<Result> {
  const { layers, renderings } = deps
  const { accountId } = call
  // The gateway must not be asked in a transaction. A key that was seen before is answered without it.
  const isNew = (await layers.idempotencyKey.find(call)).kind === 'unseen'
  const id = isNew ? await askForCustomer(deps, call, request) : null
  if (id !== null && typeof id !== 'string') return id
  return guardTransaction(layers, call, {
    lockOn: unlocked,
    work: async (tx, rollBack) => {
      // The key was bound a moment ago, and its transaction was rolled back since.
      if (id === null) return { kind: 'refused', refusal: unlocked.contended }
      const customer = await insertCustomer(tx, { id, accountId, customerId: request.customerId })
      if (customer.accountId !== accountId) return rollBack({ kind: 'refused', refusal: notFound(id) })
      tx.write(sql`
        UPDATE subscriptions SET state = 'active', paused_because = NULL, version = version + 1
         WHERE account_id = ${accountId}::uuid AND gateway_customer_id = ${id} AND state = 'paused'`)
      return { kind: 'done', answer: renderings.gatewayCustomerRegistered(customer) }
    },
  })
}

/** Two statements: the second sees the row of a transaction for which the first has waited. */
async function insertCustomer(
  tx: Tx,
  { id, accountId, customerId }: Omit<GatewayCustomer, 'createdAt'>,
): Promise<GatewayCustomer> {
  tx.write(sql`
    INSERT INTO gateway_customers (gateway_customer_id, account_id, customer_id)
    VALUES (${id}, ${accountId}::uuid, ${customerId}) ON CONFLICT (gateway_customer_id) DO NOTHING`)
  const [row] = await tx.read<GatewayCustomer>(sql`
    SELECT gateway_customer_id AS id, account_id, customer_id, created_at
      FROM gateway_customers WHERE gateway_customer_id = ${id}`)
  if (!row) throw new Error(`customer ${id} is gone`)
  return row
}

/** Returns the gateway's id of a customer whose metadata name the account. */
async function askForCustomer(
  { layers }: PaymentDeps,
  { accountId, key, fingerprint }: Call,
  { customerId, gatewayCustomerId }: NewGatewayCustomer,
): Promise<string | Refused> {
  const { gatewayCustomers: gateway, gatewayGate } = layers
  // The same request meets the same customer; another request under this key is refused before it is executed.
  const gatewayKey = createHash('sha256').update(`${accountId} ${key} `).update(fingerprint).digest('hex')
  const answer = await gatewayGate.forRequests<CustomerAnswer>({ accountId, operation: 'customer' }, () =>
    gatewayCustomerId === null
      ? gateway.createCustomer({ accountId, customerId }, `customer:${gatewayKey}`)
      : gateway.retrieveCustomer(gatewayCustomerId, accountId),
  )
  if (answer.kind === 'customer' && answer.customer.metadata.accountId === accountId) return answer.customer.id
  const isMissing = answer.kind === 'customer' || (answer.kind === 'rejected' && answer.status === 404)
  if (isMissing && gatewayCustomerId !== null) return { kind: 'refused', refusal: notFound(gatewayCustomerId) }
  return { kind: 'refused', refusal: refusalOf(answer) }
}

/** Only where waiting helps is the client told to wait. */
function refusalOf(answer: CustomerAnswer | NotAdmitted): Refusal {
  if (answer.kind !== 'not-admitted' && answer.kind !== 'unknown') return { code: 'gateway-refused-request' }
  const code = answer.reason === 'forbidden' ? 'gateway-forbids-operation' : 'temporarily-unavailable'
  const { retryAfterSeconds = inProgressRetryAfterSeconds } = answer.kind === 'not-admitted' ? answer : {}
  return { code, retryAfterSeconds }
}

function notFound(gatewayCustomerId: string): Refusal {
  return { code: 'gateway-customer-not-found', gatewayCustomerId }
}

/** Read in the transaction that decides. A row is never changed, so it needs no lock. */
export async function isCustomerOf(tx: Tx, which: Sql): Promise<boolean> {
  return (await tx.read(sql`SELECT 1 FROM gateway_customers WHERE ${which}`)).length === 1
}

/** The migration that brought the table pauses with the same words. */
const unproven =
  'The gateway customer was not made through this API, so it may belong to another account. Name your account in its ' +
  'metadata at the gateway (accountId), and register it: POST /v1/gateway-customers.'

/**
 * Pauses a subscription whose customer is not known to be the account's, and tells the merchant. Registering the
 * customer resumes it.
 */
export function pauseUnproven(deps: PaymentDeps, subscriptionId: string): Promise<void> {
  const { layers } = deps
  return layers.transaction(async (tx) => {
    const subscription = await lockSubscription(
      tx,
      sql`
      id = ${subscriptionId}::uuid AND state = 'active' AND NOT EXISTS (
        SELECT FROM gateway_customers AS owned
         WHERE owned.gateway_customer_id = subscriptions.gateway_customer_id
           AND owned.account_id = subscriptions.account_id)`,
    )
    if (!subscription) return
    const paused = moveSubscription(tx, subscription, { state: 'paused', pausedBecause: unproven })
    enqueueMessages(deps, tx, {
      accountId: paused.accountId,
      topic: 'subscription.paused',
      subjectId: paused.id,
      data: deps.renderings.subscriptionSeen(paused),
      receipt: null,
    })
    const fault = new Error(`subscription ${subscriptionId} is paused: its gateway customer may be another account's`)
    tx.afterCommit(() => layers.reportFault(fault, `subscription ${subscriptionId}`))
  })
}
