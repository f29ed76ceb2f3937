import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start as startGateway } from '@seatbelt/gateway'
import { freshDatabase } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { LayerName } from './explore-report.ts'
import { Judge, oneAccountViews } from './judge.ts'
import { type Mutant, type MutantName, mutants } from './mutants.ts'
import type { Surroundings } from './scenarios.ts'
import { type StatementChange, StatementRewriter } from './statement-rewriter.ts'
import { conditions, indexes } from './without-layers.ts'

export interface SurroundingsOptions {
  /** Any database of the server; the one of the exploration is a clone of the migrated template. */
  readonly maintenanceUrl: string
  /** With the number of a database that nothing else uses. */
  readonly redisUrl: string
  readonly off: readonly LayerName[]
  readonly mutant?: MutantName | undefined
}

export interface OpenSurroundings extends Surroundings {
  readonly servers: { readonly postgres: string; readonly redis: string; readonly gateway: string }
  close(): Promise<void>
}

/** A database and a gateway of their own, without the indexes that are off. */
export async function openSurroundings(options: SurroundingsOptions): Promise<OpenSurroundings> {
  const { maintenanceUrl, redisUrl, off } = options
  const mutant: Mutant | null = options.mutant ? mutants[options.mutant] : null
  const database = await freshDatabase({ maintenanceUrl })
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-explore-'))
  const gateway = await startGateway({ ledgerPath: join(folder, 'ledger.jsonl'), latencyMs: 0 })
  const admin = new pg.Client({ connectionString: database.url, application_name: 'explore-admin' })
  await admin.connect()
  await admin.query(oneAccountViews)
  // The scheduler chooses the victims of deadlocks. PostgreSQL itself would choose one after a second.
  await admin.query(`ALTER DATABASE "${database.name}" SET deadlock_timeout = '1h'`)
  // Sessions are short: each statement is planned once.
  await admin.query(`ALTER DATABASE "${database.name}" SET plan_cache_mode = force_generic_plan`)
  for (const layer of off) if (indexes[layer]) await admin.query(indexes[layer])
  if (mutant?.alsoDrop) await admin.query(mutant.alsoDrop)
  const redis = new Redis(redisUrl)
  const judge = new Judge(database.url, gateway.url)
  return {
    admin,
    redis,
    judge,
    gatewayUrl: gateway.url,
    off: new Set(off),
    rewriter: new StatementRewriter(changesOf(off, options.mutant)),
    servers: { postgres: database.url, redis: redisUrl, gateway: gateway.url },
    close: async () => {
      redis.disconnect()
      await judge.close()
      await admin.end()
      await gateway.close()
      await database.close()
      await rm(folder, { recursive: true })
    },
  }
}

function changesOf(off: readonly LayerName[], mutant: MutantName | undefined): Record<string, StatementChange> {
  const changes: Record<string, StatementChange> = {}
  const ofLayers: Readonly<Partial<Record<LayerName, StatementChange>>> = conditions
  for (const layer of off) if (ofLayers[layer]) changes[layer] = ofLayers[layer]
  const rewrite = mutant && (mutants[mutant] as Mutant).rewrite
  return rewrite ? { ...changes, [mutant]: rewrite } : changes
}
