import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

/** An actor or server did not do what it must: send, answer, end, or wait for a lock. The schedule proves nothing. */
export class Stuck extends Error {}

/** A hundred times longer than any answer or actor takes. */
export const boundMs = 10_000

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

  /** Whether this backend waits for a lock that one of the others has. */
  async isBlocked(pid: number, others: readonly number[]): Promise<boolean> {
    const { rows } = await this.#client.query<{ blocked: boolean }>({
      name: 'blocked',
      text: 'SELECT pg_blocking_pids($1) && $2::int[] AS blocked',
      values: [pid, others],
    })
    return rows[0]?.blocked === true
  }

  async cancel(pid: number): Promise<void> {
    await this.#client.query('SELECT pg_cancel_backend($1)', [pid])
  }

  /** Resolves when these backends are gone, and with them their locks. */
  async terminate(pids: readonly number[]): Promise<void> {
    // It returns true until the backend is gone. With a time-out, it would look again only after 100 ms.
    const text = 'SELECT pid FROM unnest($1::int[]) AS pid WHERE pg_terminate_backend(pid)'
    const giveUpAtMs = performance.now() + boundMs
    while ((await this.#client.query({ name: 'terminate', text, values: [pids] })).rows.length > 0) {
      if (performance.now() > giveUpAtMs) throw new Stuck(`the backends ${pids} did not end within ${boundMs} ms`)
      // Asking at once would take the time that it needs to end.
      await pause(1)
    }
  }
}
