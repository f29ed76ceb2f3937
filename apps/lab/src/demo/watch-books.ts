import pg from 'pg'

/** What the demo looks at in order to hit the right moment. No verdict depends on it. */
export interface BooksWatch {
  /** Payments that this instance claimed, and that nobody has settled or taken over since. */
  countPaymentsOf(instance: string): Promise<number>
  /** Messages that some relay holds right now; one that was killed goes on holding them until its lease is over. */
  messagesInFlight(): Promise<string[]>
  /** Who leads the billing run that is under way; null: nobody. */
  billingLeader(): Promise<string | null>
  /** How many of these subscriptions have paid an invoice. */
  countPaid(subscriptionIds: readonly string[]): Promise<number>
  /** Seats and places that are booked, of all events, paid for or about to be. */
  countBooked(): Promise<number>
  close(): Promise<void>
}

export async function watchBooks(databaseUrl: string): Promise<BooksWatch> {
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
    async countPaymentsOf(instance) {
      const { rows } = await client.query<{ payments: number }>(
        `SELECT count(*)::integer AS payments FROM payments
          WHERE state = 'processing' AND generation = 1 AND leased_until > now()
            AND EXISTS (SELECT FROM payment_events
                         WHERE payment_id = payments.id AND event = 'claimed' AND payment_events.by = $1)`,
        [instance],
      )
      return rows[0]?.payments ?? 0
    },
    async messagesInFlight() {
      const { rows } = await client.query<{ id: string }>(
        'SELECT id FROM outbox WHERE published_at IS NULL AND dead_at IS NULL AND leased_until IS NOT NULL',
      )
      return rows.map(({ id }) => id)
    },
    async billingLeader() {
      const { rows } = await client.query<{ leader: string }>(
        'SELECT led_by AS leader FROM billing_runs WHERE finished_at IS NULL ORDER BY hour DESC LIMIT 1',
      )
      return rows[0]?.leader ?? null
    },
    async countPaid(subscriptionIds) {
      const { rows } = await client.query<{ paid: number }>(
        `SELECT count(DISTINCT subscription_id)::integer AS paid FROM invoices
          WHERE state = 'paid' AND subscription_id = ANY ($1::uuid[])`,
        [subscriptionIds],
      )
      return rows[0]?.paid ?? 0
    },
    async countBooked() {
      const { rows } = await client.query<{ booked: number }>(
        `SELECT coalesce(sum(quantity), 0)::integer AS booked
           FROM bookings JOIN holds ON holds.id = hold_id WHERE bookings.state <> 'cancelled'`,
      )
      return rows[0]?.booked ?? 0
    },
    close: () => client.end(),
  }
}
