import { type Statement, sql } from './sql.ts'

/** How commits that were acknowledged can be lost, short of a restore. */
export const durabilityRisks = [
  /** A crash of the server can lose commits, and damage the rest. */
  'fsync-off',
  /** A crash of the server loses the last commits. */
  'synchronous-commit-off',
  /** A standby that is promoted lacks the last commits. */
  'standby-asynchronous',
  /** This role cannot see the standbys, or the settings could not be read. It counts as unsafe. */
  'unreadable',
] as const

export type DurabilityRisk = (typeof durabilityRisks)[number]

export interface Durability {
  readonly risks: readonly DurabilityRisk[]
  /** Grows when a standby is promoted and when the server is restored. Null: it could not be read. */
  readonly timeline: string | null
  /** Null: they could not be seen. */
  readonly standbys: number | null
  /** The statement with which a superuser lets this role see the standbys. Null: it sees them, or nothing was read. */
  readonly remedy: string | null
}

interface Row {
  readonly role: string
  readonly fsync: string
  readonly synchronousCommit: string
  readonly standbyNames: string
  readonly seesStandbys: boolean
  readonly standbys: number
  readonly synchronous: number
  readonly timeline: string | null
}

const standby = sql`FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'`

/**
 * Reads what this session's commits survive.
 *
 * The role needs `pg_read_all_stats`: without it PostgreSQL shows the standbys without their mode.
 */
export async function readDurability(
  query: <Found extends object>(statement: Statement) => Promise<Found[]>,
): Promise<Durability> {
  const [row] = await query<Row>(sql`
    SELECT quote_ident(current_user) AS role, current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('synchronous_standby_names') AS standby_names,
           pg_has_role('pg_read_all_stats', 'USAGE') AS sees_standbys,
           (SELECT count(*)::int ${standby}) AS standbys,
           (SELECT count(*)::int ${standby} AND sync_state IN ('sync', 'quorum')) AS synchronous,
           CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline`)
  if (!row) return unreadableDurability
  const { timeline, seesStandbys, standbys, role } = row
  const seen = seesStandbys
    ? { standbys, remedy: null }
    : { standbys: null, remedy: `GRANT pg_read_all_stats TO ${role}` }
  return { risks: judge(row), timeline, ...seen }
}

/** For a database that is away as well. */
export const unreadableDurability: Durability = {
  risks: ['unreadable'],
  timeline: null,
  standbys: null,
  remedy: null,
}

function judge({ fsync, synchronousCommit, standbyNames, seesStandbys, standbys, synchronous }: Row): DurabilityRisk[] {
  const risks: DurabilityRisk[] = []
  if (fsync !== 'on') risks.push('fsync-off')
  if (synchronousCommit === 'off') risks.push('synchronous-commit-off')
  const waitsForNone = standbyNames === '' || synchronousCommit === 'off' || synchronousCommit === 'local'
  // Synchronous standbys that are all gone make commits wait. The one that comes back lacks none of them.
  if (seesStandbys && standbys > 0 && (waitsForNone || synchronous === 0)) risks.push('standby-asynchronous')
  if (!seesStandbys) risks.push('unreadable')
  return risks
}
