import pg, { type PoolClient } from 'pg'
import { type Evidence, type LedgerEntry, withOurIds } from '../auditor/evidence.ts'
import { followLedger, type LedgerFollower } from '../auditor/follow-ledger.ts'
import type { Finding, InvariantId } from '../auditor/invariant.ts'
import { invariants } from '../auditor/invariants/index.ts'
import { readBooks } from '../auditor/read-books.ts'
import type { World } from './world.ts'

/** `generation` is the explorer's own. */
export type CheckedId = InvariantId | 'generation'

/**
 * Judges one schedule by the auditor's invariants, and by one more: no two owners act under one generation.
 *
 * The auditor reads whole tables. Here each name is a view of one account's rows, so that it reads one schedule.
 */
export class Judge {
  readonly #books: pg.Pool
  readonly #ledger: LedgerFollower
  /** By invariant, the things that were looked at in all schedules. */
  readonly #checked = new Map<CheckedId, number>()
  /** The last schedule got stuck, so what the gateway did for it was not read. */
  #isBehind = false

  constructor(databaseUrl: string, gatewayUrl: string) {
    const options = '-c search_path=one_account,public'
    const settings = { connectionString: databaseUrl, max: 1, options, pipeline: true }
    this.#books = new pg.Pool({ ...settings, Client: PreparingClient })
    // A connection that breaks while idle is replaced by the next query. The event alone would end the process.
    this.#books.on('error', () => undefined)
    this.#ledger = followLedger(gatewayUrl)
  }

  close(): Promise<void> {
    return this.#books.end()
  }

  /** To be called before each schedule. */
  async begin(): Promise<void> {
    if (this.#isBehind) await this.#ledger.catchUp()
    this.#isBehind = true
  }

  async judge(world: World): Promise<string[]> {
    const [evidence, generations] = await this.#read(world)
    this.#isBehind = false
    const found = invariants.flatMap((invariant) => this.#note(invariant.id, invariant.check(evidence)))
    const ofGenerations = this.#note('generation', checkGenerations(generations))
    return [...found, ...keysWithTwoAnswers(world), ...ofGenerations].map(bodiesByNumber())
  }

  /** All statements are sent before the first is answered. */
  async #read({ accountId, attempts, seatAttempts }: World): Promise<[Evidence, GenerationRow[]]> {
    const client = await this.#books.connect()
    const query = client.query.bind(client) as PoolClient['query']
    const lent = { query, release: () => undefined, pipeline: client.pipeline }
    try {
      const [, ledger, books, generations] = await Promise.all([
        client.query("SELECT set_config('explore.account', $1, false)", [accountId]),
        this.#newEntries(),
        readBooks({ connect: async () => lent }),
        readGenerations(client),
      ])
      const seats = { attempts: seatAttempts, books: books.seats }
      return [{ attempts, ledger: withOurIds(ledger, books), mails: null, disturbances: [], books, seats }, generations]
    } finally {
      client.release()
    }
  }

  async #newEntries(): Promise<readonly LedgerEntry[]> {
    const before = this.#ledger.entries.length
    await this.#ledger.catchUp()
    return this.#ledger.entries.slice(before)
  }

  /** The invariants that had nothing to look at in any schedule: that they were kept says nothing. */
  unchecked(expected: readonly CheckedId[]): CheckedId[] {
    return expected.filter((id) => (this.#checked.get(id) ?? 0) === 0)
  }

  #note(id: CheckedId, { checked, violations }: Finding): string[] {
    this.#checked.set(id, (this.#checked.get(id) ?? 0) + checked)
    return violations.map(({ subject, what }) => `${id}: ${subject}: ${what}`)
  }
}

/** The history has one line for each claim and takeover, and each settle names the generation that it acted under. */
async function readGenerations(client: PoolClient): Promise<GenerationRow[]> {
  const { rows } = await client.query<GenerationRow>(
    `SELECT payment_id AS payment, payment_events.generation, payments.generation AS latest,
            array_agg(DISTINCT by ORDER BY by) AS owners, bool_or(event = 'settled') AS "isSettled"
       FROM payment_events JOIN payments ON payments.id = payment_id WHERE event <> 'superseded'
      GROUP BY payment_id, payment_events.generation, payments.generation
      ORDER BY payment_id, payment_events.generation`,
  )
  return rows
}

interface GenerationRow {
  readonly payment: string
  readonly generation: number
  /** Of the payment, at the end. */
  readonly latest: number
  readonly owners: readonly string[]
  readonly isSettled: boolean
}

/** No two owners act under one generation, and the last settle is that of the last generation. */
function checkGenerations(rows: readonly GenerationRow[]): Finding {
  const shared = rows.filter(({ owners }) => owners.length > 1)
  const lastSettled = new Map(rows.filter(({ isSettled }) => isSettled).map((row) => [row.payment, row]))
  const deposed = [...lastSettled.values()].filter(({ generation, latest }) => generation !== latest)
  return {
    checked: rows.length,
    violations: [
      ...shared.map(({ payment, owners, generation }) => ({
        subject: payment,
        what: `${owners.join(' and ')} acted under generation ${generation}`,
      })),
      ...deposed.map(({ payment, generation, latest }) => ({
        subject: payment,
        what: `an owner of generation ${generation} settled, and the latest generation is ${latest}`,
      })),
    ],
  }
}

/** Bodies have ids and times, so their hashes differ in each replay. The texts of violations number them. */
function bodiesByNumber(): (text: string) => string {
  const numbers = new Map<string, string>()
  return (text) =>
    text.replace(/\b[0-9a-f]{64}\b/g, (hash) => {
      const number = numbers.get(hash) ?? `body ${numbers.size + 1}`
      numbers.set(hash, number)
      return number
    })
}

/** Prepares each SELECT once. PostgreSQL would otherwise plan the auditor's statements anew for each schedule. */
class PreparingClient extends pg.Client {
  readonly #names = new Map<string, string>()

  override query(statement: unknown, ...rest: unknown[]): never {
    const isSelect = typeof statement === 'string' && /^\s*SELECT/.test(statement) && rest.length <= 1
    const query = super.query as (...given: unknown[]) => never
    return query.call(this, isSelect ? { text: statement, name: this.#nameOf(statement) } : statement, ...rest)
  }

  #nameOf(statement: string): string {
    const name = this.#names.get(statement) ?? `read-${this.#names.size}`
    this.#names.set(statement, name)
    return name
  }
}

/** All requests with one key read one answer, and the last request reads that answer. */
function keysWithTwoAnswers({ attempts: ofPayments, seatAttempts }: World): string[] {
  const attempts = [...ofPayments, ...seatAttempts]
  const keys = [...new Set(attempts.map(({ key }) => key))]
  return keys.flatMap((key) => {
    const ofKey = attempts.filter((one) => one.key === key)
    const answers = new Set(ofKey.flatMap(({ bodySha256 }) => bodySha256 ?? []))
    if (answers.size > 1) return [`I8: ${key}: two answers to one key`]
    return answers.size === 1 && ofKey.at(-1)?.bodySha256 === null ? [`I8: ${key}: answered, and then refused`] : []
  })
}

/** For the database that is cloned: a view of one account's rows for each table, and indexes for them. */
export const oneAccountViews = `
  CREATE SCHEMA one_account;
  DO $$
  DECLARE
    name text;
  BEGIN
    FOR name IN SELECT table_name FROM information_schema.columns
                 WHERE table_schema = 'public' AND column_name = 'account_id'
    LOOP
      EXECUTE format('CREATE VIEW one_account.%1$I AS SELECT * FROM public.%1$I
                       WHERE account_id = current_setting(''explore.account'')::uuid', name);
      EXECUTE format('CREATE INDEX ON public.%I (account_id)', name);
    END LOOP;
  END $$`
