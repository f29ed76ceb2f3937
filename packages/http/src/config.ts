import { z } from 'zod'
import { developmentInstallation } from './development-keys.ts'
import { logLevels } from './logger.ts'

/** A whole number within bounds; an environment has only text. */
export function integerField(bounds: { min: number; max: number }) {
  return z
    .string()
    .regex(/^\d{1,12}$/, 'must be a whole number')
    .pipe(z.coerce.number<string>().int().min(bounds.min).max(bounds.max))
}

/** What every process of the house reads. Descriptions are shown to whoever has to set a missing variable. */
export function processFields(defaults: { instance: string; port: number }) {
  return {
    HOST: z.string().default('127.0.0.1').describe('the address to listen on'),
    PORT: integerField({ min: 0, max: 65_535 })
      .default(defaults.port)
      .describe('the port to listen on; 0 takes a free one'),
    INSTANCE: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes')
      .default(defaults.instance)
      .describe('the name of this replica, told in answers, logs and payment histories'),
    LOG_LEVEL: z.enum(logLevels).default('info').describe('how much to log'),
    NODE_ENV: z
      .enum(['development', 'test', 'production'])
      .default('development')
      .describe('production refuses development keys'),
    EXIT_WITH_PARENT: z
      .enum(['0', '1'])
      .default('0')
      .transform((value) => value === '1')
      .describe('1: end when stdin closes'),
  }
}

/**
 * The settings of every process that runs the payment operations. The lease is compared with the deadline where both
 * are read.
 */
export function operationFields(defaults: { poolSize: number }) {
  return {
    DATABASE_URL: urlField('postgres', 'postgresql').describe(
      'the PostgreSQL to keep payments in, such as postgresql://user:password@host:5432/name',
    ),
    DATABASE_WAIT_MS: integerField({ min: 0, max: 600_000 })
      .default(30_000)
      .describe('how long the database may take to come up when this process starts'),
    DATABASE_POOL_SIZE: integerField({ min: 1, max: 100 }).default(defaults.poolSize).describe('connections at most'),
    DATABASE_PREPARED: z
      .enum(['on', 'off'])
      .default('on')
      .transform((value) => value === 'on')
      .describe('off: prepare no statements, for a pooler that cannot track them, such as PgBouncer before 1.21'),
    REDIS_URLS: z
      .string()
      .transform((urls) => urls.split(','))
      .pipe(z.tuple([urlField('redis', 'rediss')], urlField('redis', 'rediss')))
      .describe('the Redis servers, separated by commas, such as redis://host:6379'),
    REDIS_LOCK: z
      .enum(['single', 'quorum'])
      .default('single')
      .describe('single: the lock is on the first Redis server; quorum: Redlock over all of them'),
    GATEWAY_URL: urlField('http', 'https').describe('the payment gateway, such as https://api.stripe.com'),
    GATEWAY_API_KEY: z.string().describe("the gateway's secret key, such as sk_test_..."),
    INSTALLATION: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes')
      .optional()
      .describe(
        "the installation's name in the gateway's keys, such as shop-eu: the same in all processes and after a restore; another one for a copy of the database that shares the account at the gateway; seatbelt where it ran without one before",
      ),
    SEATBELT_DEMO_KEYS: z
      .enum(['accept', 'refuse'])
      .default('refuse')
      .describe(
        'accept: take development keys although NODE_ENV is production, as the demo of docker-compose.yml does',
      ),
    GATEWAY_DEADLINE_MS: integerField({ min: 100, max: 60_000 })
      .default(8_000)
      .describe('how long one request to the gateway may take as a whole'),
    LEASE_MS: integerField({ min: 1_000, max: 600_000 })
      .default(60_000)
      .describe('how long the process that claimed a payment may work on it before another may take it over'),
    DECLINE_WINDOW_SECONDS: integerField({ min: 60, max: 604_800 })
      .default(3_600)
      .describe('how long a declined card counts against the three limits that follow'),
    DECLINES_PER_ORDER: integerField({ min: 0, max: 1_000 })
      .default(10)
      .describe('declines of one order after which no further card is tried for it; 0: no limit'),
    DECLINES_PER_CUSTOMER: integerField({ min: 0, max: 1_000 })
      .default(0)
      .describe('the same for all orders of one customer, payments under way included; 0: no limit'),
    DECLINES_PER_ACCOUNT: integerField({ min: 0, max: 10_000 })
      .default(0)
      .describe('the same for all customers of one account, payments under way included; 0: no limit'),
  }
}

type OperationConfig = z.output<z.ZodObject<ReturnType<typeof operationFields>>>

/**
 * What `operationFields` reads, as packages/payments and packages/booking take it. The one mapping for all processes.
 */
export function connectionOptions(config: OperationConfig & { readonly INSTANCE: string }) {
  return {
    databaseUrl: config.DATABASE_URL,
    databasePoolSize: config.DATABASE_POOL_SIZE,
    databasePrepared: config.DATABASE_PREPARED,
    redisLock: config.REDIS_LOCK,
    redisUrls: config.REDIS_URLS,
    gatewayUrl: config.GATEWAY_URL,
    gatewayApiKey: config.GATEWAY_API_KEY,
    installation: config.INSTALLATION ?? developmentInstallation,
    gatewayDeadlineMs: config.GATEWAY_DEADLINE_MS,
    leaseMs: config.LEASE_MS,
    declineLimits: {
      windowSeconds: config.DECLINE_WINDOW_SECONDS,
      perOrder: config.DECLINES_PER_ORDER,
      perCustomer: config.DECLINES_PER_CUSTOMER,
      perAccount: config.DECLINES_PER_ACCOUNT,
    },
    by: config.INSTANCE,
  }
}

/** What every process reads that takes requests of accounts. */
export function doorFields() {
  return {
    RATE_LIMIT_PER_SECOND: integerField({ min: 1, max: 1_000_000 })
      .default(2_000)
      .describe('requests a second that this replica takes from one account; twice as many at once'),
    STRANGER_LIMIT_PER_SECOND: integerField({ min: 1, max: 1_000_000 })
      .default(20)
      .describe(
        'requests a second without a known key that this replica takes from one address; five times as many at once',
      ),
    TRUSTED_PROXY_HOPS: integerField({ min: 0, max: 10 })
      .default(0)
      .describe('how many proxies of ours stand before this process, whose X-Forwarded-For is believed'),
  }
}

/** What every process reads that registers webhooks or sends them. */
export function webhookFields() {
  return {
    WEBHOOK_TARGETS: z
      .enum(['public', 'loopback'])
      .default('public')
      .describe('where webhooks may go: by https to the internet, or also to this machine, for development'),
  }
}

/** Why webhooks may not go where they are allowed to, or null. */
export function webhookTargetsProblem(settings: {
  readonly NODE_ENV: string
  readonly WEBHOOK_TARGETS: string
}): string | null {
  if (settings.NODE_ENV !== 'production' || settings.WEBHOOK_TARGETS === 'public') return null
  return 'in production an account must not reach what stands beside the worker'
}

export function urlField(...protocols: string[]) {
  return z.url({
    protocol: new RegExp(`^(${protocols.join('|')})$`),
    error: `must be a URL of ${protocols.join(' or ')}`,
  })
}

/**
 * Reads the environment, or says on stderr, one line a variable, what is missing or wrong and what it is for, and exits
 * with code 1. A value is never printed: it may be a secret. A variable that is set to nothing counts as not set.
 */
export function readConfig<Schema extends z.ZodObject>(schema: Schema, environment = process.env): z.output<Schema> {
  const config = parseConfig(schema, environment)
  if ('value' in config) return config.value
  for (const complaint of config.complaints) process.stderr.write(`${complaint}\n`)
  process.exit(1)
}

/** As `readConfig`, for tests and for callers who want to go on. */
export function parseConfig<Schema extends z.ZodObject>(
  schema: Schema,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly value: z.output<Schema> } | { readonly complaints: readonly string[] } {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''))
  const result = schema.safeParse(set)
  if (result.success) return { value: result.data }
  return { complaints: result.error.issues.map((issue) => complaint(issue, schema, set)) }
}

function complaint(issue: z.core.$ZodIssue, schema: z.ZodObject, set: Readonly<Record<string, unknown>>): string {
  const name = String(issue.path[0] ?? 'the configuration')
  if (!(name in schema.shape)) return `${name}: ${issue.message}`
  const purpose = z.globalRegistry.get(schema.shape[name] as z.ZodType)?.description
  return [`${name} ${name in set ? `is wrong (${issue.message})` : 'is missing'}`, purpose].filter(Boolean).join(': ')
}
