import { prepareUnprotectedDatabase } from '@seatbelt/lab/control/unprotected-database.ts'
import { developmentApiKey, operations, type Service } from '@seatbelt/lab/stack/description.ts'
import { type Stack, startStack } from '@seatbelt/lab/stack/start-stack.ts'
import pg from 'pg'
import type { WatchedProcesses } from '../load/slice.ts'
import type { OperationName } from '../plan.ts'
import {
  benchGateway,
  bookingService,
  controlService,
  paymentsService,
  peerService,
  type ServiceOptions,
} from './services.ts'
import { type SystemName, systems } from './systems.ts'

export interface BenchStackOptions {
  readonly root: string
  readonly systemNames: readonly SystemName[]
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** Each has a database of its own. The rows of Seatbelt's replicas are in one. */
const databaseOwners = ['floor', 'tutorial', 'dbos', 'control', 'seatbelt'] as const

export type DatabaseOwner = (typeof databaseOwners)[number]

/** The servers, the simulator and every system of the plan, all running: a system that is not measured is idle. */
export interface BenchStack {
  readonly stack: Stack
  readonly redisUrl: string
  readonly authorization: string
  /** Of requests to the simulator. */
  readonly gatewayAuthorization: string
  databaseUrl(owner: DatabaseOwner): string
  /** Where a system takes such requests, and which processes do the work. */
  target(system: SystemName, operation: OperationName): { origins: string[]; watched: WatchedProcesses }
  /** The simulator itself, without an API. */
  gatewayTarget(): { origins: string[]; watched: WatchedProcesses }
  /** Writes dirty pages now, so that no system pays for what the one before it left. */
  checkpoint(): Promise<void>
  /** Statistics of the tables as they have become, for the planner. */
  analyze(): Promise<void>
  stop(): Promise<void>
}

export async function startBenchStack({ root, systemNames, say, signal }: BenchStackOptions): Promise<BenchStack> {
  const stack = await startStack({ root, purpose: 'bench', preferFixedPorts: false, parts: 'data', say, signal })
  const [redisUrl = ''] = stack.redisUrls
  const owners = databaseOwners.filter((owner) => systemNames.some((name) => ownerOf(name) === owner))
  const databases = new Map<DatabaseOwner, string>([['seatbelt', stack.databaseUrl]])
  const client = new pg.Client({ connectionString: stack.databaseUrl, application_name: 'bench' })
  const stop = async () => {
    await client.end().catch(() => undefined)
    for (const owner of databases.keys()) if (owner !== 'seatbelt') await stack.dropDatabase(databaseName(stack, owner))
    await stack.stop()
  }
  try {
    await client.connect()
    for (const owner of owners) {
      if (!databases.has(owner)) databases.set(owner, await stack.createDatabase(databaseName(stack, owner)))
    }
    const databaseUrl = (owner: DatabaseOwner) => databases.get(owner) ?? ''
    if (owners.includes('control')) await prepareUnprotectedDatabase(databaseUrl('control'))
    const services = owners.flatMap((owner) => servicesOf(owner, { databaseUrl: databaseUrl(owner), redisUrl }))
    await stack.add([benchGateway, ...services])
    return {
      stack,
      redisUrl,
      authorization: `Bearer ${developmentApiKey}`,
      gatewayAuthorization: `Bearer ${operations.GATEWAY_API_KEY}`,
      databaseUrl,
      target: (system, operation) => targetOf(stack, instancesFor(system, operation)),
      gatewayTarget: () => ({ ...targetOf(stack, []), origins: [stack.url(benchGateway.name)] }),
      checkpoint: async () => void (await client.query('CHECKPOINT').catch(() => undefined)),
      analyze: async () => {
        for (const url of databases.values()) await runOnce(url, 'ANALYZE')
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

export function ownerOf(system: SystemName): DatabaseOwner {
  return system === 'seatbelt-3' || system === 'seatbelt-webhooks' ? 'seatbelt' : system
}

/** The processes of one owner. `suffix`, `instances` and `environment` make others beside the timed ones. */
export function servicesOf(owner: DatabaseOwner, options: ServiceOptions): Service[] {
  if (owner === 'seatbelt') return [paymentsService(options), bookingService(options)]
  if (owner === 'control') return [controlService(options)]
  return [peerService(owner, options)]
}

function instancesFor(system: SystemName, operation: OperationName): readonly string[] {
  return operation === 'hold' || operation === 'checkout' ? systems[system].bookings : systems[system].payments
}

function targetOf(stack: Stack, instances: readonly string[]): { origins: string[]; watched: WatchedProcesses } {
  // A server that was given by DATABASE_URL or REDIS_URLS is not ours, and its CPU time is not known.
  const pidOf = (name: string) => (stack.names.includes(name) ? stack.pid(name) : null)
  return {
    origins: instances.map((name) => stack.url(name)),
    watched: {
      api: instances.flatMap((name) => pidOf(name) ?? []),
      postgres: pidOf('postgres'),
      redis: pidOf('redis'),
      simulator: pidOf(benchGateway.name),
    },
  }
}

function databaseName(stack: Stack, owner: DatabaseOwner): string {
  return `bench_${owner}_${stack.run.id.replace(/\W/g, '_')}`.toLowerCase().slice(0, 63)
}

async function runOnce(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString, application_name: 'bench' })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
