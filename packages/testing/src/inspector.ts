import { Client } from 'pg'

/** A connection of the test's own, which sees what is committed. */
export interface Inspector {
  /** Resolves with the rows. Statements run one after another, in the order of the calls. */
  sql<T extends object>(text: string, parameters?: unknown[]): Promise<T[]>
  close(): Promise<void>
}

/** The driver warns when a connection receives a statement while others wait on it, so this keeps the queue. */
export async function openInspector(url: string): Promise<Inspector> {
  const client = new Client({ connectionString: url, application_name: 'inspector' })
  // The error of a connection that breaks also rejects its statement. The event alone would end the process.
  client.on('error', () => undefined)
  await client.connect()
  let last: Promise<unknown> = Promise.resolve()
  return {
    sql: <T extends object>(text: string, parameters: unknown[] = []) => {
      const rows = last.then(async () => (await client.query<T>(text, parameters)).rows)
      last = rows.catch(() => undefined)
      return rows
    },
    close: async () => {
      await last
      await client.end()
    },
  }
}
