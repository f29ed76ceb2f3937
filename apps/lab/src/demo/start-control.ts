import { prepareUnprotectedDatabase } from '../control/unprotected-database.ts'
import type { StackAddresses } from '../stack/current-stack.ts'
import { auditor, gateway, paymentsApi, type Service } from '../stack/description.ts'
import type { Stack } from '../stack/start-stack.ts'

export interface Control {
  readonly addresses: StackAddresses
  /** Kills its processes and drops its database: nothing of it is worth an orderly end. */
  remove(): Promise<void>
}

/**
 * Starts the control beside the stack: three replicas of the naive payments, with a database, a gateway and an auditor of
 * their own, so that nothing of what they do shows in the books of the real ones.
 */
export async function startControl(stack: Stack): Promise<Control> {
  const name = `seatbelt_control_${stack.run.id.replace(/\W/g, '_')}`
  const databaseUrl = await stack.createDatabase(name)
  const parts = describeControl(databaseUrl)
  const all = [parts.gateway, parts.auditor, parts.replicas]
  try {
    await prepareUnprotectedDatabase(databaseUrl)
    for (const service of all) await stack.add(service)
  } catch (error) {
    // What was started ends with the stack; the database may be on a server that stays.
    await stack.dropDatabase(name).catch(() => undefined)
    throw error
  }
  const instances = all.flatMap((service) => service.instances.map((instance) => instance.name))
  return {
    addresses: {
      replicas: parts.replicas.instances.map((instance) => stack.url(instance.name)),
      gatewayUrl: stack.url(parts.gateway.name),
      auditorUrl: stack.url(parts.auditor.name),
    },
    remove: async () => {
      await Promise.all(instances.map((instance) => stack.kill(instance)))
      await stack.dropDatabase(name)
    },
  }
}

/** The same gateway and auditor, and as many replicas with as many connections as the real ones have. */
function describeControl(databaseUrl: string): { gateway: Service; auditor: Service; replicas: Service } {
  const ownGateway = {
    ...gateway,
    name: 'control-gateway',
    instances: [{ name: 'control-gateway', port: 4110 }],
    environment: { ...gateway.environment, GATEWAY_LEDGER_PATH: '{state}/control-ledger' },
  }
  const of = { DATABASE_URL: databaseUrl, GATEWAY_URL: '{control-gateway}' }
  return {
    gateway: ownGateway,
    auditor: {
      ...auditor,
      name: 'control-auditor',
      instances: [{ name: 'control-auditor', port: 4130 }],
      environment: of,
    },
    replicas: {
      name: 'control',
      program: 'apps/lab/dist/control.js',
      instances: paymentsApi.instances.map((_, index) => ({ name: `control-${index + 1}`, port: 4101 + index })),
      environment: {
        ...of,
        GATEWAY_API_KEY: gateway.environment.GATEWAY_API_KEY ?? '',
        DATABASE_POOL_SIZE: paymentsApi.environment.DATABASE_POOL_SIZE ?? '10',
      },
      startsAfter: [],
      readinessPath: '/readyz',
      heapMb: 256,
    },
  }
}
