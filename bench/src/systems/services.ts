import { bookingApi, gateway, operations, paymentsApi, type Service } from '@seatbelt/lab/stack/description.ts'
import { replicas } from './systems.ts'

/** The mean time of one request to the simulator. Each takes between half of it and one and a half of it. */
export const gatewayLatencyMs = 50

/** As many as one replica of Seatbelt has; the floor and the peers have as many of their own. */
const databasePoolSize = '10'

/** The load comes from one account. What is measured is not the limit. */
const unlimited = { RATE_LIMIT_PER_SECOND: '1000000', STRANGER_LIMIT_PER_SECOND: '1000000' }

/** No hold expires between its creation and its checkout. */
const longHolds = { HOLD_SECONDS: '3600' }

/** Any ports: the run asks the stack for free ones. */
const anyPort = 0

/** The addresses that a system's processes use. A proxy may stand in their place. */
export interface Stores {
  readonly databaseUrl: string
  readonly redisUrl: string
}

export const benchGateway: Service = {
  ...gateway,
  environment: {
    ...gateway.environment,
    GATEWAY_LATENCY_MS: String(gatewayLatencyMs),
    GATEWAY_WEBHOOK_URLS: '',
    GATEWAY_WEBHOOK_SECRETS: '',
  },
  // It keeps every intent of the run in memory.
  heapMb: 2_048,
}

/** Names of a system's services may carry a suffix, for processes beside the timed ones. */
export interface ServiceOptions extends Stores {
  readonly suffix?: string
  readonly instances?: number
  /** Added to the environment of the processes. */
  readonly environment?: Readonly<Record<string, string>>
}

export function paymentsService({ instances = replicas.length, ...options }: ServiceOptions): Service {
  return seatbeltService(paymentsApi, { ...options, instances })
}

export function bookingService({ instances = replicas.length, ...options }: ServiceOptions): Service {
  return seatbeltService(bookingApi, { ...options, instances, environment: { ...longHolds, ...options.environment } })
}

function seatbeltService(service: Service, options: ServiceOptions & { readonly instances: number }): Service {
  const { databaseUrl, redisUrl, suffix = '', instances, environment } = options
  return {
    ...service,
    name: `${service.name}${suffix}`,
    instances: Array.from({ length: instances }, (_, index) => ({
      name: `${service.name}-${index + 1}${suffix}`,
      port: anyPort,
    })),
    environment: {
      ...service.environment,
      DATABASE_URL: databaseUrl,
      REDIS_URLS: redisUrl,
      ...unlimited,
      ...environment,
    },
    startsAfter: [],
  }
}

export function controlService({ databaseUrl, suffix = '', environment }: ServiceOptions): Service {
  return {
    ...plainService(`control${suffix}`, 'apps/lab/dist/control.js'),
    environment: {
      DATABASE_URL: databaseUrl,
      DATABASE_POOL_SIZE: databasePoolSize,
      GATEWAY_URL: operations.GATEWAY_URL,
      GATEWAY_API_KEY: operations.GATEWAY_API_KEY,
      ...longHolds,
      ...environment,
    },
  }
}

const programs = {
  floor: 'bench/floor.mjs',
  tutorial: 'bench/peers/tutorial/dist/main.js',
  dbos: 'bench/peers/dbos/dist/main.js',
} as const

export function peerService(name: keyof typeof programs, options: ServiceOptions): Service {
  const { databaseUrl, redisUrl, suffix = '', environment } = options
  return {
    ...plainService(`${name}${suffix}`, programs[name]),
    environment: {
      DATABASE_URL: databaseUrl,
      REDIS_URLS: redisUrl,
      GATEWAY_URL: operations.GATEWAY_URL,
      GATEWAY_API_KEY: operations.GATEWAY_API_KEY,
      ...environment,
    },
  }
}

function plainService(name: string, program: string): Omit<Service, 'environment'> {
  return {
    name,
    program,
    instances: [{ name, port: anyPort }],
    startsAfter: [],
    readinessPath: '/readyz',
    heapMb: paymentsApi.heapMb,
  }
}
