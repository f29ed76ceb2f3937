import { createHash } from 'node:crypto'
import pg from 'pg'
import type { Evidence, LedgerEntry } from '../auditor/evidence.ts'
import { followLedger, type LedgerFollower } from '../auditor/follow-ledger.ts'
import { invariants } from '../auditor/invariants/index.ts'
import type { Finding, InvariantId } from '../auditor/invariant.ts'
import { readBooks } from '../auditor/read-books.ts'
import type { World } from './world.ts'

/** I11 is the explorer's own. */
export type CheckedId = InvariantId | 'I11'

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
    this.#books = new pg.Pool({ connectionString: databaseUrl, max: 1, options, Client: PreparingClient })
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
    const { accountId } = world
    await this.#books.query("SELECT set_config('explore.account', $1, false)", [accountId])
    const before = this.#ledger.entries.length
    await this.#ledger.catchUp()
    const ledger = this.#ledger.entries.slice(before)
    this.#isBehind = false
    const evidence = await this.#evidence(world, ledger)
    const found = invariants.flatMap((invariant) => this.#note(invariant.id, invariant.check(evidence)))
    const generations = this.#note('I11', checkGenerations(await this.#generations()))
    return [...found, ...keysWithTwoAnswers(world), ...generations]
  }

  /** The invariants that had nothing to look at in any schedule: that they were kept says nothing. */
  unchecked(expected: readonly CheckedId[]): CheckedId[] {
    return expected.filter((id) => (this.#checked.get(id) ?? 0) === 0)
  }

  #note(id: CheckedId, { checked, violations }: Finding): string[] {
    this.#checked.set(id, (this.#checked.get(id) ?? 0) + checked)
    return violations.map(({ subject, what }) => `${id}: ${subject}: ${what}`)
  }

  async #evidence({ attempts, seatAttempts }: World, ledger: readonly LedgerEntry[]): Promise<Evidence> {
    const books = await readBooks(this.#books)
    const seats = { attempts: seatAttempts, books: books.seats }
    return { attempts, ledger, mails: null, disturbances: [], books, seats }
  }

  /** The history has one line for each claim and takeover, and each settle names the generation that it acted under. */
  async #generations(): Promise<GenerationRow[]> {
    const { rows } = await this.#books.query<GenerationRow>(
      `SELECT payment_id AS payment, payment_events.generation, payments.generation AS latest,
              array_agg(DISTINCT by ORDER BY by) AS owners, bool_or(event = 'settled') AS "isSettled"
         FROM payment_events JOIN payments ON payments.id = payment_id WHERE event <> 'superseded'
        GROUP BY payment_id, payment_events.generation, payments.generation
        ORDER BY payment_id, payment_events.generation`,
    )
    return rows
  }
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

/** Prepares each SELECT once. PostgreSQL would otherwise plan the auditor's statements anew for each schedule. */
class PreparingClient extends pg.Client {
  override query(statement: unknown, ...rest: unknown[]): never {
    const isSelect = typeof statement === 'string' && /^\s*SELECT/.test(statement) && rest.length <= 1
    const name = isSelect ? createHash('sha256').update(statement).digest('hex').slice(0, 16) : ''
    const query = super.query as (...given: unknown[]) => never
    return query.call(this, isSelect ? { text: statement, name } : statement, ...rest)
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
