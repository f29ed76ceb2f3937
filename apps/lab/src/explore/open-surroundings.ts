import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start as startGateway } from '@seatbelt/gateway'
import { freshDatabase } from '@seatbelt/testing'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { LayerName } from './explore-report.ts'
import { Judge, oneAccountViews } from './judge.ts'
import type { Surroundings } from './scenarios.ts'
import { indexes } from './without-layers.ts'

export interface SurroundingsOptions {
  /** Any database of the server; the one of the exploration is a clone of the migrated template. */
  readonly maintenanceUrl: string
  /** With the number of a database that nothing else uses. */
  readonly redisUrl: string
  readonly off: readonly LayerName[]
  /** For mutants: further statements for the schema, and a change of each statement that is sent. */
  readonly alsoDrop?: string
  readonly mutate?: (sql: string) => string
}

export interface OpenSurroundings extends Surroundings {
  readonly servers: { readonly postgres: string; readonly redis: string; readonly gateway: string }
  close(): Promise<void>
}

/** A database and a gateway of their own, without the indexes that are off. */
export async function openSurroundings(options: SurroundingsOptions): Promise<OpenSurroundings> {
  const { maintenanceUrl, redisUrl, off, alsoDrop, mutate } = options
  const database = await freshDatabase({ maintenanceUrl })
  const folder = await mkdtemp(join(tmpdir(), 'seatbelt-explore-'))
  const gateway = await startGateway({ ledgerPath: join(folder, 'ledger.jsonl'), latencyMs: 0 })
  const admin = new pg.Client({ connectionString: database.url, application_name: 'explore-admin' })
  await admin.connect()
  await admin.query(oneAccountViews)
  for (const layer of off) if (indexes[layer]) await admin.query(indexes[layer])
  if (alsoDrop) await admin.query(alsoDrop)
  const redis = new Redis(redisUrl)
  const judge = new Judge(database.url, gateway.url)
  return {
    admin,
    redis,
    judge,
    off: new Set(off),
    mutate,
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
