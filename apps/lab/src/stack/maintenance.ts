import pg from 'pg'

/** Runs one statement on a connection of its own, for what cannot be done from inside the database that it concerns. */
export async function runStatement(url: string, statement: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'seatbelt-maintenance',
    connectionTimeoutMillis: 5_000,
    // Creating a database copies some MB; dropping one waits for its last connections.
    statement_timeout: 30_000,
  })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** The same server and role, another database. */
export function withDatabaseName(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}
