import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase, migrate, seedDevelopment } from '@seatbelt/database'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { closeRun, openRun, type Run, reapAbandonedRuns } from '../../../../scripts/run-records.mjs'
import { type DataServers, startDataServers } from './data-servers.ts'
import { auditor, bookingApi, gateway, paymentsApi, type Service, services, webhookPath } from './description.ts'
import { findFreePorts } from './free-ports.ts'
import { runStatement, withDatabaseName } from './maintenance.ts'
import { type PeakMemory, watchPeakMemory } from './peak-memory.ts'
import { type ProcessEnd, type ProcessPlan, supervise } from './supervisor.ts'

export interface StackOptions {
  readonly root: string
  readonly purpose: string
  /** Ports that a person can remember, where they are free. Otherwise any. */
  readonly preferFixedPorts: boolean
  /** Added to the environment of a service's instances, by the service's name. */
  readonly environment?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** `data`: only the data servers, for what is added to them. The addresses of the services are reserved and nobody listens there. */
  readonly parts?: 'all' | 'data'
  readonly say: (text: string) => void
  /** Ends the start, with nothing left running. Afterwards it is `stop` that ends the stack. */
  readonly signal?: AbortSignal | undefined
}

export interface Stack {
  readonly run: Run
  readonly databaseUrl: string
  readonly redisUrls: readonly string[]
  /** Base addresses of the replicas of payments-api. */
  readonly replicas: readonly string[]
  /** Of booking-api. */
  readonly bookingReplicas: readonly string[]
  readonly gatewayUrl: string
  readonly auditorUrl: string
  /** All that runs, by name: payments-api-1, worker-2, postgres ... */
  readonly names: readonly string[]
  /** The base address of an instance. */
  url(instance: string): string
  /** The process number while it runs. */
  pid(instance: string): number | null
  logPath(instance: string): string
  /** Starts more services beside the stack, such as a control; `{name}` in their environment as in the description, of each other too. */
  add(more: readonly Service[]): Promise<void>
  /** A new empty database on the stack's server. */
  createDatabase(name: string): Promise<string>
  dropDatabase(name: string): Promise<void>
  /** SIGKILL; resolves when the process is gone. */
  kill(instance: string): Promise<void>
  /** Starts a process that ended again, on its old port. Resolves when it is ready. */
  startAgain(instance: string): Promise<void>
  onUnexpectedEnd(listener: (end: ProcessEnd) => void): void
  /** The most memory that each process was seen to use; null where the system does not tell. */
  peakMemory(): PeakMemory[]
  /** Stops everything, the last started first, and removes the run's state but for its logs. May be called twice. */
  stop(): Promise<void>
}

/** Migrations and reading bundles from a cold disk, on a machine that is busy. */
const serviceReadyWithinMs = 60_000

/** The programs drain for 8 s at most and close their pools within 1.5 s. */
const serviceGraceMs = 10_000

/**
 * Starts the whole stack: data servers, gateway, auditor, both APIs, workers, each when what it needs is ready. Left-overs of
 * runs that were killed are ended first.
 *
 * Fails with: `MissingProgram`, `NotReady`, or the signal's reason; nothing is left running then.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { root, purpose, say, signal } = options
  const stateFolder = join(root, '.seatbelt')
  const reaped = await reapAbandonedRuns(stateFolder)
  if (reaped.length > 0) say(`ended what a killed run had left: ${reaped.join(', ')}`)
  const run = openRun(stateFolder, purpose)
  const supervisor = supervise(run, signal)
  const memory = watchPeakMemory(supervisor)
  const stop = async () => {
    memory.stop()
    await supervisor.stop()
    closeRun(run)
  }
  try {
    const data = await startDataServers({ ...options, run, supervisor, cache: cacheFolder(), fsync: true })
    const databaseUrl = await prepareDatabase(data)
    const redisUrls = data.redisUrls
    const state = join(run.folder, 'state')
    mkdirSync(state)
    const addresses = new Map([
      ['database', databaseUrl],
      ['redis', redisUrls.join(',')],
      ['state', state],
    ])
    const plan = (service: Service) => planService({ ...options, service, addresses })
    await takeAddresses(services, addresses, options.preferFixedPorts)
    addresses.set(
      'gateway-deliveries',
      paymentsApi.instances.map(({ name }) => find(addresses, name) + webhookPath).join(','),
    )
    const start = async (some: readonly Service[]) => {
      for (const stage of stagesOf(some)) await supervisor.start(stage.flatMap(plan))
    }
    if (options.parts !== 'data') await start(services)
    const url = (instance: string) => find(addresses, instance)
    return {
      run,
      databaseUrl,
      redisUrls,
      replicas: paymentsApi.instances.map(({ name }) => url(name)),
      bookingReplicas: bookingApi.instances.map(({ name }) => url(name)),
      gatewayUrl: url(gateway.name),
      auditorUrl: url(auditor.name),
      get names() {
        return supervisor.names
      },
      url,
      pid: supervisor.pid,
      logPath: supervisor.logPath,
      add: async (more) => {
        await takeAddresses(more, addresses, false)
        await start(more)
      },
      async createDatabase(name) {
        await runStatement(data.maintenanceUrl, `CREATE DATABASE "${name}"`)
        return withDatabaseName(data.maintenanceUrl, name)
      },
      dropDatabase: (name) => runStatement(data.maintenanceUrl, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
      kill: supervisor.kill,
      startAgain: supervisor.startAgain,
      onUnexpectedEnd: supervisor.onUnexpectedEnd,
      peakMemory: memory.read,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The database that the services use: the one that was given, or a new one on our own server; migrated and seeded. */
async function prepareDatabase({ databaseUrl, maintenanceUrl }: DataServers): Promise<string> {
  const name = 'seatbelt'
  if (databaseUrl === null) await runStatement(maintenanceUrl, `CREATE DATABASE ${name}`)
  const url = databaseUrl ?? withDatabaseName(maintenanceUrl, name)
  await migrate(url)
  const database = createDatabase({ url, poolSize: 1, applicationName: 'seatbelt-set-up' })
  try {
    await seedDevelopment(database)
  } finally {
    await database.close()
  }
  return url
}

/** Services in the order of their starts: each stage needs only what stands in stages before it. */
export function stagesOf(all: readonly Service[]): Service[][] {
  const stages: Service[][] = []
  const started = new Set<string>()
  while (started.size < all.length) {
    const stage = all.filter(
      ({ name, startsAfter }) => !started.has(name) && startsAfter.every((earlier) => started.has(earlier)),
    )
    if (stage.length === 0) throw new Error('services wait for each other, or for one that is not described')
    for (const { name } of stage) started.add(name)
    stages.push(stage)
  }
  return stages
}

interface ServiceToPlan extends StackOptions {
  readonly service: Service
  /** What braces stand for, and where the service's own instances listen. */
  readonly addresses: ReadonlyMap<string, string>
}

/** Before any of them is started: a service may have to know where one will be that starts after it. */
async function takeAddresses(
  all: readonly Service[],
  addresses: Map<string, string>,
  preferFixed: boolean,
): Promise<void> {
  const instances = all.flatMap((service) => service.instances)
  const preferred = instances.flatMap(({ port, furtherPorts = {} }) => [port, ...Object.values(furtherPorts)])
  const ports = await findFreePorts(preferred.map((port) => (preferFixed ? port : null)))
  for (const { name, furtherPorts = {} } of instances) {
    addresses.set(name, `http://127.0.0.1:${ports.shift()}`)
    for (const variable of Object.keys(furtherPorts)) addresses.set(`${name}:${variable}`, `127.0.0.1:${ports.shift()}`)
  }
}

function planService({ service, addresses, ...options }: ServiceToPlan): ProcessPlan[] {
  const given = { ...service.environment, ...options.environment?.[service.name] }
  const environment = Object.entries(given).map(([name, value]) => [name, fillIn(value, addresses)] as const)
  return service.instances.map(({ name, furtherPorts = {} }) => {
    const port = portOf(find(addresses, name))
    const further = Object.keys(furtherPorts).map((variable) => [
      variable,
      portOf(find(addresses, `${name}:${variable}`)),
    ])
    return {
      name,
      command: process.execPath,
      args: ['--enable-source-maps', `--max-old-space-size=${service.heapMb}`, join(options.root, service.program)],
      folder: options.root,
      environment: {
        // Who tries it out listens on this machine.
        WEBHOOK_TARGETS: 'loopback',
        ...process.env,
        NODE_ENV: 'development',
        ...Object.fromEntries(environment),
        HOST: '127.0.0.1',
        PORT: port,
        INSTANCE: name,
        ...Object.fromEntries(further),
      },
      endsWithParent: 'by-stdin',
      stopSignal: 'SIGTERM',
      graceMs: serviceGraceMs,
      readyWithinMs: serviceReadyWithinMs,
      isReady: () => answersOk(`http://127.0.0.1:${port}${service.readinessPath}`),
    }
  })
}

/** Replaces `{name}` by its address. */
export function fillIn(value: string, addresses: ReadonlyMap<string, string>): string {
  return value.replace(/\{([a-z0-9-]+(?::[A-Z_]+)?)\}/g, (_, name: string) => find(addresses, name))
}

function find(addresses: ReadonlyMap<string, string>, name: string): string {
  const address = addresses.get(name)
  if (address === undefined) throw new Error(`nothing is called ${name}; there are ${[...addresses.keys()].join(', ')}`)
  return address
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1)
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
