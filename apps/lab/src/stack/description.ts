/**
 * The stack, described once: what runs, how often, where, with which environment, after what. The native stack is started from it, and
 * a test compares docker-compose.yml with it.
 *
 * Values of `environment` may name addresses in braces: `{database}`, `{redis}`, the base URL of a service that has one
 * instance (`{gateway}`), host and port of what else it listens on (`{mail-sink:MAIL_SINK_SMTP_PORT}`), where the gateway delivers
 * its events (`{gateway-deliveries}`: at each replica in turn, in containers through the load balancer), and `{state}`, a folder
 * of the run's own that survives restarts of the process.
 */
export interface Service {
  readonly name: string
  /** The bundle, from the root of the checkout. */
  readonly program: string
  readonly instances: readonly Instance[]
  readonly environment: Readonly<Record<string, string>>
  /** Services that must be ready before this one is started. */
  readonly startsAfter: readonly string[]
  /** Answers 200 when the process can work. */
  readonly readinessPath: string
  /**
   * The most that its JavaScript may keep. Without a bound Node lets garbage pile up to half a gigabyte before it collects;
   * this is several times what is alive under load.
   */
  readonly heapMb: number
}

export interface Instance {
  readonly name: string
  /** Where a person finds it: taken when it is free, else any other. Containers always have it. */
  readonly port: number
  /** What else it listens on, by the variable that says where; as with `port`. */
  readonly furtherPorts?: Readonly<Record<string, number>>
}

/** Works against the development account alone; refused where NODE_ENV is production, unless SEATBELT_DEMO_KEYS=accept. */
export const developmentApiKey = 'sb_dev_only_0000000000000000'

const gatewayApiKey = 'sk_test_dev_only'
const gatewayWebhookSecrets = 'whsec_dev_only'
/** Where payments-api takes what the gateway delivers. */
export const webhookPath = '/v1/gateway/webhooks'

export const postgresPort = 4050
export const redisPort = 4060

/** What payments-api, booking-api and worker have in common: they run the same operations. */
export const operations = {
  DATABASE_URL: '{database}',
  REDIS_URLS: '{redis}',
  GATEWAY_URL: '{gateway}',
  GATEWAY_API_KEY: gatewayApiKey,
}

export const gateway: Service = {
  name: 'gateway',
  program: 'apps/gateway/dist/main.js',
  instances: [{ name: 'gateway', port: 4010 }],
  environment: {
    GATEWAY_API_KEY: gatewayApiKey,
    GATEWAY_LEDGER_PATH: '{state}/ledger',
    GATEWAY_WEBHOOK_URLS: '{gateway-deliveries}',
    GATEWAY_WEBHOOK_SECRETS: gatewayWebhookSecrets,
  },
  startsAfter: [],
  readinessPath: '/readyz',
  heapMb: 512,
}

export const paymentsApi: Service = {
  name: 'payments-api',
  program: 'apps/payments-api/dist/main.js',
  instances: [
    { name: 'payments-api-1', port: 4001 },
    { name: 'payments-api-2', port: 4002 },
    { name: 'payments-api-3', port: 4003 },
  ],
  // No connection is held while the gateway is asked, so that ten serve some hundred requests in flight.
  environment: { ...operations, DATABASE_POOL_SIZE: '10', GATEWAY_WEBHOOK_SECRETS: gatewayWebhookSecrets },
  startsAfter: ['gateway'],
  readinessPath: '/readyz',
  heapMb: 256,
}

/** It asks the gateway, too. What the gateway delivers comes to payments-api, which knows what a booking is. */
export const bookingApi: Service = {
  name: 'booking-api',
  program: 'apps/booking-api/dist/main.js',
  instances: [
    { name: 'booking-api-1', port: 4005 },
    { name: 'booking-api-2', port: 4006 },
    { name: 'booking-api-3', port: 4007 },
  ],
  environment: { ...operations, DATABASE_POOL_SIZE: '10' },
  startsAfter: ['gateway'],
  readinessPath: '/readyz',
  heapMb: 256,
}

/** A real SMTP server that delivers nothing and keeps everything: the witness of what was sent. */
export const mailSink: Service = {
  name: 'mail-sink',
  program: 'apps/lab/dist/mail-sink.js',
  instances: [{ name: 'mail-sink', port: 4040, furtherPorts: { MAIL_SINK_SMTP_PORT: 4041 } }],
  environment: { MAIL_SINK_FILE: '{state}/mail/messages.jsonl' },
  startsAfter: [],
  readinessPath: '/readyz',
  heapMb: 256,
}

export const worker: Service = {
  name: 'worker',
  program: 'apps/worker/dist/main.js',
  instances: [
    { name: 'worker-1', port: 4021 },
    { name: 'worker-2', port: 4022 },
  ],
  environment: {
    ...operations,
    DATABASE_POOL_SIZE: '8',
    SMTP_URL: 'smtp://{mail-sink:MAIL_SINK_SMTP_PORT}',
    MAIL_FROM: 'receipts@seatbelt.example',
  },
  startsAfter: ['gateway', 'mail-sink'],
  readinessPath: '/readyz',
  heapMb: 256,
}

export const auditor: Service = {
  name: 'auditor',
  program: 'apps/lab/dist/auditor.js',
  instances: [{ name: 'auditor', port: 4030 }],
  environment: { DATABASE_URL: '{database}', GATEWAY_URL: '{gateway}', MAIL_SINK_URL: '{mail-sink}' },
  startsAfter: ['gateway', 'mail-sink'],
  readinessPath: '/readyz',
  heapMb: 768,
}

export const services: readonly Service[] = [gateway, mailSink, auditor, paymentsApi, bookingApi, worker]
