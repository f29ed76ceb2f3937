import { sql } from '@seatbelt/database'
import type { PaymentDeps } from '../shared/payment-deps.ts'

/** The person who acts by a command. */
export interface Operator {
  readonly name: string
  readonly reason: string
}

export interface OperatorAction {
  readonly operator: Operator
  /** The command in short, as it stands in the history: `review --cancel`. */
  readonly action: string
  /** The payment, refund, booking, message or run. Null: the action is about several. */
  readonly subjectId: string | null
}

/** The output of a command, and its exit code. */
export interface CommandResult {
  readonly text: string
  readonly exitCode: number
}

/**
 * Records an operator's action, does it, and records what came of it.
 *
 * Guarantees: who, why and what are committed before the action begins, so that no action is done without a record. An
 * action whose command died, or whose outcome could not be written, has no outcome.
 */
export async function recordAction<Result extends CommandResult>(
  { database, runtime }: Pick<PaymentDeps, 'database' | 'runtime'>,
  { operator, action, subjectId }: OperatorAction,
  act: () => Promise<Result>,
): Promise<Result> {
  const id = runtime.newId()
  await database.query(sql`
    INSERT INTO operator_actions (id, actor, reason, action, subject_id)
    VALUES (${id}::uuid, ${operator.name}, ${operator.reason}, ${action}, ${subjectId}::uuid)`)
  const end = (outcome: string) =>
    database.query(sql`UPDATE operator_actions SET outcome = ${outcome} WHERE id = ${id}::uuid AND outcome IS NULL`)
  const result = await act().catch(async (fault: unknown) => {
    await end(`it failed: ${fault instanceof Error ? fault.message : fault}`).catch(() => undefined)
    throw fault
  })
  return end(result.text.trim()).then(
    () => result,
    (fault) => ({ ...result, text: `${result.text}It is done, and its record has no outcome: ${fault}\n` }),
  )
}
