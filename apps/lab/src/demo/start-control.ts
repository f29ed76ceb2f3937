import { prepareUnprotectedDatabase } from '../control/unprotected-database.ts'
import type { StackAddresses } from '../stack/current-stack.ts'
import { auditor, gateway, paymentsApi, type Service, webhookPath } from '../stack/description.ts'
import type { Stack } from '../stack/start-stack.ts'

export interface Control {
  readonly addresses: StackAddresses
  readonly databaseUrl: string
  /** Kills its processes and drops its database: nothing of it is worth an orderly end. */
  remove(): Promise<void>
}

export interface ControlOptions {
  /** Whether the gateway tells the control of what it did. Without, its mistakes are those of its requests alone. */
  readonly takesEvents?: boolean
  /** How often each of its servers bills what is due; never by default. */
  readonly billingIntervalSeconds?: number | undefined
  /** How long its holds keep their seats; as its program has it by default. */
  readonly holdSeconds?: number | undefined
  /** How long it waits for the gateway; as its program has it by default. */
  readonly gatewayDeadlineMs?: number | undefined
}

/**
 * Starts the control beside the stack: three replicas of the naive payments and bookings, with a database, a gateway and an auditor of
 * their own, so that nothing of what they do shows in the books of the real ones.
 */
export async function startControl(stack: Stack, options: ControlOptions = {}): Promise<Control> {
  const name = `seatbelt_control_${stack.run.id.replace(/\W/g, '_')}`
  const databaseUrl = await stack.createDatabase(name)
  const parts = describeControl(databaseUrl, options)
  const all = Object.values(parts)
  try {
    await prepareUnprotectedDatabase(databaseUrl)
    await stack.add(all)
  } catch (error) {
    // What was started ends with the stack; the database may be on a server that stays.
    await stack.dropDatabase(name).catch(() => undefined)
    throw error
  }
  const instances = all.flatMap((service) => service.instances.map((instance) => instance.name))
  const replicas = parts.replicas.instances.map((instance) => stack.url(instance.name))
  return {
    databaseUrl,
    addresses: {
      replicas,
      // One process serves both of its APIs.
      bookingReplicas: replicas,
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
function describeControl(
  databaseUrl: string,
  { takesEvents = false, billingIntervalSeconds = 0, holdSeconds, gatewayDeadlineMs }: ControlOptions,
) {
  const of = { DATABASE_URL: databaseUrl, GATEWAY_URL: '{control-gateway}' }
  const replicas = paymentsApi.instances.map((_, index) => ({ name: `control-${index + 1}`, port: 4101 + index }))
  const secrets = takesEvents ? (gateway.environment.GATEWAY_WEBHOOK_SECRETS ?? '') : ''
  const deliveries = takesEvents ? replicas.map((replica) => `{${replica.name}}${webhookPath}`).join(',') : ''
  return {
    gateway: {
      ...gateway,
      name: 'control-gateway',
      instances: [{ name: 'control-gateway', port: 4110 }],
      environment: {
        ...gateway.environment,
        GATEWAY_LEDGER_PATH: '{state}/control-ledger',
        GATEWAY_WEBHOOK_URLS: deliveries,
        GATEWAY_WEBHOOK_SECRETS: secrets,
      },
    },
    auditor: {
      ...auditor,
      name: 'control-auditor',
      instances: [{ name: 'control-auditor', port: 4130 }],
      environment: of,
      startsAfter: ['control-gateway'],
    },
    replicas: {
      name: 'control',
      program: 'apps/lab/dist/control.js',
      instances: replicas,
      environment: {
        ...of,
        GATEWAY_API_KEY: gateway.environment.GATEWAY_API_KEY ?? '',
        GATEWAY_WEBHOOK_SECRETS: secrets,
        BILLING_INTERVAL_SECONDS: String(billingIntervalSeconds),
        ...(holdSeconds !== undefined && { HOLD_SECONDS: String(holdSeconds) }),
        ...(gatewayDeadlineMs !== undefined && { GATEWAY_DEADLINE_MS: String(gatewayDeadlineMs) }),
        DATABASE_POOL_SIZE: paymentsApi.environment.DATABASE_POOL_SIZE ?? '10',
      },
      startsAfter: ['control-gateway'],
      readinessPath: '/readyz',
      heapMb: 256,
    },
  } satisfies Record<string, Service>
}
