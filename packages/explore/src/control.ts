import pg from 'pg'

/** A connection to PostgreSQL beside those of the actors: knows who waits for whom, and ends what must end. */
export class Control {
  readonly #client: pg.Client

  constructor(url: string) {
    this.#client = new pg.Client({ connectionString: url, application_name: 'explore-control' })
  }

  open(): Promise<void> {
    return this.#client.connect().then(() => undefined)
  }

  close(): Promise<void> {
    return this.#client.end()
  }

  /** Whether this backend waits for a lock that another one has. */
  async isBlocked(pid: number | null): Promise<boolean> {
    const { rows } = await this.#client.query<{ blocked: boolean }>({
      name: 'blocked',
      text: 'SELECT cardinality(pg_blocking_pids($1)) > 0 AS blocked',
      values: [pid],
    })
    return rows[0]?.blocked === true
  }

  async cancel(pid: number | null): Promise<void> {
    await this.#client.query('SELECT pg_cancel_backend($1)', [pid])
  }

  /** Resolves when these backends are gone, and with them their locks. */
  async terminate(pids: readonly number[]): Promise<void> {
    if (pids.length === 0) return
    await this.#client.query('SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) AS pid', [pids])
  }
}
