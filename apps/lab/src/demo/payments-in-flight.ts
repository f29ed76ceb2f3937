import pg from 'pg'

export interface PaymentsInFlight {
  /** Payments that this instance claimed, and that nobody has settled or taken over since. */
  countOf(instance: string): Promise<number>
  close(): Promise<void>
}

/** Looks into the database for the moment at which a replica is best killed. The demo's business; no verdict depends on it. */
export async function watchPaymentsInFlight(databaseUrl: string): Promise<PaymentsInFlight> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'seatbelt-demo',
    connectionTimeoutMillis: 5_000,
    statement_timeout: 5_000,
    query_timeout: 6_000,
  })
  // A connection that breaks is told by the next query; without a listener it would end the demo.
  client.on('error', () => undefined)
  await client.connect()
  return {
    async countOf(instance) {
      const { rows } = await client.query<{ payments: number }>(
        `SELECT count(*)::integer AS payments FROM payments
          WHERE state = 'processing' AND generation = 1 AND leased_until > now()
            AND EXISTS (SELECT FROM payment_events
                         WHERE payment_id = payments.id AND event = 'claimed' AND payment_events.by = $1)`,
        [instance],
      )
      return rows[0]?.payments ?? 0
    },
    close: () => client.end(),
  }
}
