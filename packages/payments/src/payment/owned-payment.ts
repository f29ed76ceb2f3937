import { type Database, type Payment as PaymentRow, type Sql, sql } from '@seatbelt/database'
import type { OrderPurpose, Payment, PaymentGoal } from '@seatbelt/domain'
import type {
  Attempt,
  AttemptLease,
  Evidence,
  GatewayRequest,
  IntentParameters,
  IntentStore,
  PaymentAttempt,
} from '@seatbelt/safety'
import { isOwnedBy, leasedPayments, startLease } from '../shared/leased-work.ts'
import type { PaymentDeps } from '../shared/payment-deps.ts'
import { toDeclinedBy, toPayment } from '../shared/rows.ts'

/** A payment in the hands of one owner, between its claim or takeover and its settle. */
export interface OwnedPayment {
  readonly payment: Payment
  readonly purpose: OrderPurpose
  readonly attempt: PaymentAttempt
  /** How often recovery looked before, which spaces its looks. */
  readonly attempts: number
  /** The step has been open for so long that a person should look as well. */
  readonly isOverdue: boolean
}

/** The findings of one effect. */
export interface PaymentFound {
  readonly evidence: Evidence
  /** Of the step that may follow in the settling commit. Null: no process is there to continue, and recovery does. */
  readonly nextLease: AttemptLease | null
}

/** Layer 6. The next lease starts here, before another process could see that this owner continues. */
export async function askGateway(deps: PaymentDeps, { attempt }: OwnedPayment): Promise<PaymentFound> {
  const evidence = await deps.layers.gatewayIntent(attempt)
  return { evidence, nextLease: startLease(deps) }
}

/** The part of an attempt that does not stand in the payment's row. */
export interface AttemptFacts extends Pick<Attempt, 'owner' | 'lease'> {
  readonly isFirstOwner: boolean
  readonly wanted: boolean
  readonly keyIsRemembered: boolean
}

/** A payment that was claimed before, as its next owner has it. */
export function toAttempt(row: PaymentRow, facts: AttemptFacts): PaymentAttempt {
  return {
    ...facts,
    id: row.id,
    generation: row.generation,
    // A constraint of the table holds that it is one of these.
    goal: row.goal as PaymentGoal,
    gatewayIntentId: row.gatewayIntentId,
    gatewayKey: row.gatewayKey ?? row.id,
    // Written by the claim from the same type; nothing else writes this column.
    intentParameters: row.intentParameters as unknown as IntentParameters,
    keyNumbers: {
      create: row.createAttempt,
      confirm: row.confirmAttempt,
      capture: row.captureAttempt,
      cancel: row.cancelAttempt,
    },
    // Null was noted by a version that took every refusal for the bank's.
    notedDecline:
      row.declineCode === null
        ? null
        : { declineCode: row.declineCode, declinedBy: toDeclinedBy(row.declinedBy) ?? 'bank' },
  }
}

/** The step that an owner has just claimed on an authorized payment: the gateway was not asked for it yet. */
export function toNextStep(
  row: PaymentRow,
  purpose: OrderPurpose,
  attempt: Pick<Attempt, 'owner' | 'lease'>,
): OwnedPayment {
  const { owner, lease } = attempt
  const next = toAttempt(row, { owner, lease, isFirstOwner: true, wanted: true, keyIsRemembered: true })
  return { payment: toPayment(row), purpose, attempt: { ...next, notedDecline: null }, attempts: 0, isOverdue: false }
}

/**
 * The writes of an owner between two requests to the gateway. Each names the attempt's generation and is one statement,
 * so it costs one round trip. False: another owner took over.
 */
export function createIntentStore({
  database,
  gatewayAccount,
  by,
}: Pick<PaymentDeps, 'gatewayAccount' | 'by'> & { readonly database: Pick<Database, 'query'> }): IntentStore {
  const hasChanged = async (statement: Sql) => (await database.query(statement)).length === 1
  return {
    storeIntent: (attempt, gatewayIntentId, gatewayRequestId) =>
      hasChanged(sql`
        WITH stored AS (
          UPDATE payments SET gateway_intent_id = ${gatewayIntentId}, gateway_account = ${gatewayAccount.id}
           WHERE ${isOwnedBy(leasedPayments, attempt)} AND gateway_intent_id IS NULL
          RETURNING account_id, id, generation)
        INSERT INTO payment_events (account_id, payment_id, event, by, generation, gateway_request_id, detail)
        SELECT account_id, id, 'intent-created', ${by}, generation, ${gatewayRequestId}, ${gatewayIntentId} FROM stored
        RETURNING 1`),

    noteDecline: (attempt, { declineCode, declinedBy }) =>
      hasChanged(sql`
        UPDATE payments SET decline_code = ${declineCode}, declined_by = ${declinedBy}
         WHERE ${isOwnedBy(leasedPayments, attempt)} RETURNING 1`),

    useNextKey: (attempt, request) => {
      const column = keyNumberColumns[request]
      const used = attempt.keyNumbers[request]
      return hasChanged(sql`
        UPDATE payments SET ${column} = ${used + 1}
         WHERE ${isOwnedBy(leasedPayments, attempt)} AND ${column} = ${used} RETURNING 1`)
    },
  }
}

const keyNumberColumns: Readonly<Record<GatewayRequest, Sql>> = {
  create: sql`create_attempt`,
  confirm: sql`confirm_attempt`,
  capture: sql`capture_attempt`,
  cancel: sql`cancel_attempt`,
}
