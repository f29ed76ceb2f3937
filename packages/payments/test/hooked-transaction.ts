import { CommitUnknown, type Database, type Tx } from '@seatbelt/database'

/** Where a test stands between an operation and PostgreSQL. Each receives the text of the statement. */
export interface StatementHooks {
  /** Takes a condition away: what it returns is sent instead. */
  readonly change?: (text: string) => string
  /** Runs after the rows of a read arrived, and before the operation receives them. */
  readonly afterRead?: (text: string, rows: readonly Record<string, unknown>[], tx: Tx) => Promise<void>
}

/** The same transactions, with hooks around their statements, by which layers 4 and 5 are taken away. */
export function hookedTransaction(
  real: Database['transaction'],
  { change = (text) => text, afterRead = async () => undefined }: StatementHooks,
): Database['transaction'] {
  return (work) =>
    real((tx, rollBack) => {
      const hooked: Tx = {
        read: async <Row>({ text, values }: Parameters<Tx['read']>[0]) => {
          const rows = await tx.read<Row>({ text: change(text), values })
          await afterRead(text, rows as Record<string, unknown>[], tx)
          return rows
        },
        write: ({ text, values }) => tx.write({ text: change(text), values }),
        writeReturning: ({ text, values }) => tx.writeReturning({ text: change(text), values }),
        afterCommit: (publish) => tx.afterCommit(publish),
      }
      return work(hooked, rollBack)
    })
}

/** The first transaction is committed, and the answer to its COMMIT does not arrive. */
export function losesFirstAnswer(real: Database): Database {
  let isLost = false
  return {
    ...real,
    transaction: async (work) => {
      const result = await real.transaction(work)
      if (isLost) return result
      isLost = true
      throw new CommitUnknown('the answer to COMMIT was lost', { result })
    },
  }
}

/** The read with which a settle begins, and that of a claim of a payment. */
export const isSettleRead = (text: string) => text.includes('AS is_owned')
export const isOrderRead = (text: string) => text.includes('live.id AS live_id')

/** Writes whatever the version is: the lost update that layer 4 is there for. */
export const withoutVersion = (text: string) => text.replace(/AND version = (\$\d+)/, 'AND (version = $1 OR true)')
