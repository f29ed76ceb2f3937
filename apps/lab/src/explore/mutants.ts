import type { FaultKind } from '@seatbelt/explore'
import type { LayerName } from './explore-report.ts'
import type { ScenarioName } from './scenarios.ts'
import type { StatementChange } from './statement-rewriter.ts'
import { conditions } from './without-layers.ts'

/** A small fault that a developer could put in. It shows where the layers are off that would make up for it. */
export interface Mutant {
  readonly change: string
  readonly workload: ScenarioName
  readonly off: readonly LayerName[]
  /** Run in the database before the schedules. */
  readonly alsoDrop?: string
  /** Of a statement, as it is sent. */
  readonly rewrite?: StatementChange
  /** The one kind of fault that shows it. Without: schedules without faults are tried, then all kinds. */
  readonly fault?: FaultKind
}

const early: readonly LayerName[] = ['redis lock', 'gateway reference']
const decidersAlone: readonly LayerName[] = [...early, 'advisory lock', 'unique constraint']

export const mutants = {
  'an order is moved from any version': {
    change: 'version = $n is always true',
    workload: 'pay against cancel',
    off: decidersAlone,
    rewrite: conditions.version,
  },
  'no guard ends a transaction': {
    change: 'guard() returns without an error',
    workload: 'pay against cancel',
    off: decidersAlone,
    alsoDrop: `CREATE OR REPLACE FUNCTION guard(holds boolean, name text) RETURNS void LANGUAGE sql AS 'SELECT'`,
  },
  'the advisory lock is of another resource for each transaction': {
    change: 'pg_advisory_xact_lock locks a random number',
    workload: 'pay against cancel',
    off: [...early, 'version', 'unique constraint'],
    rewrite: {
      text: /(?<=pg_advisory_xact_lock\()hashtextextended\(/,
      by: 'hashtextextended(random()::text || ',
      statements: ['pg_advisory_xact_lock'],
    },
  },
  'an order can have two live payments': {
    change: 'DROP INDEX payments_one_live_per_order',
    workload: 'two keys',
    off: [...early, 'advisory lock', 'version'],
    alsoDrop: 'DROP INDEX payments_one_live_per_order',
  },
  'a key can be bound twice': {
    change: 'idempotency_keys has no primary key',
    workload: 'same key twice',
    off: [...early, 'advisory lock', 'version', 'unique constraint'],
    alsoDrop: 'ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey',
  },
  'the answer of a key is not recorded': {
    change: 'UPDATE idempotency_keys SET answer_status ... changes no row',
    workload: 'same key twice',
    off: early,
    rewrite: {
      text: /(?<=UPDATE idempotency_keys\s+SET answer_status.*)\bWHERE\b/s,
      by: 'WHERE false AND',
      statements: ['UPDATE idempotency_keys SET answer_status'],
    },
  },
  'a deposed owner settles': {
    change: 'payments.generation = $n is always true',
    workload: 'two keys',
    off: early,
    rewrite: conditions.generation,
  },
  'a takeover leaves the generation as it is': {
    change: 'generation = generation in takeOver',
    workload: 'two keys',
    off: early,
    rewrite: {
      text: /\bgeneration = generation \+ 1(?=, owner = \$\d+::uuid,\s+next_attempt_at)/,
      by: 'generation = generation',
      statements: ["'taken-over'"],
    },
    fault: 'pause',
  },
  'a claim leaves the former owner on the row': {
    change: 'the capture does not write its owner, so that the authorizing owner takes the capture for its own',
    workload: 'lost commit against capture',
    off: early,
    rewrite: {
      text: /\bowner = (\$\d+)::uuid(?=,\s+leased_until)/,
      by: 'owner = coalesce(owner, $1::uuid)',
      statements: ['SET state = $1::payment_state, goal'],
    },
    fault: 'lose-answer',
  },
  'a seat can be claimed twice': {
    change: 'seat_claims has no primary key',
    workload: 'overlapping holds',
    off: early,
    alsoDrop: 'ALTER TABLE seat_claims DROP CONSTRAINT seat_claims_pkey',
  },
} as const satisfies Record<string, Mutant>

export type MutantName = keyof typeof mutants
