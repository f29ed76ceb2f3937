import { createHash } from 'node:crypto'
import { extname, join, resolve } from 'node:path'
import { type Books, defaultMaxFacts, openBooks } from './books.ts'
import type { FactDraft, WebhookEndpoint } from './facts.ts'
import { createFaults, type Faults } from './faults.ts'
import { drawLatencyMs, sleep } from './latency.ts'
import { seededRandom } from './random.ts'
import { createRefundClock, defaultRefundChangeMs } from './refund-clock.ts'
import { deliverWebhooks, type WebhookTimes } from './webhooks/deliver-webhooks.ts'

export interface SimulatorOptions {
  /** The append-only file, or a folder (a path without extension) that gets a `ledger.jsonl`. */
  readonly ledgerPath: string
  /** Default: `developmentApiKey`. */
  readonly apiKey?: string | undefined
  /** Of the account that the key opens. Default: each ledger is an account of its own. */
  readonly accountId?: string | undefined
  /**
   * Mean time of a request under /v1, and of an event on its way, with jitter. Default 50 ms, what a card payment takes
   * when all is well.
   */
  readonly latencyMs?: number | undefined
  /** How long idempotency keys are remembered. Default 24 hours, as Stripe documents. */
  readonly keyTtlMs?: number | undefined
  /** Where events are sent, until `POST /_control/webhooks` says otherwise. Default: nowhere. */
  readonly webhooks?: WebhookEndpoint | undefined
  readonly webhookTimes?: Partial<WebhookTimes> | undefined
  /** When the refunds change that change by themselves. See `defaultRefundChangeMs`. */
  readonly refundChangeMs?: number | undefined
  /** For the jitter. Faults have their own, given with the rules. */
  readonly seed?: number | undefined
  readonly now?: (() => Date) | undefined
  /** What a request waits with. Tests put a gate here: it is called once before the effect and once after it. */
  readonly sleep?: ((delayMs: number) => Promise<void>) | undefined
  /** See `defaultMaxFacts`. */
  readonly maxFacts?: number | undefined
  /** Told of what fails outside any request: a ledger that cannot be written. */
  readonly onError?: ((error: unknown) => void) | undefined
}

export const developmentApiKey = 'sk_test_dev_only'

export const defaultLatencyMs = 50

export const defaultKeyTtlMs = 24 * 3_600_000

/** What the endpoints share. */
export interface Simulator {
  readonly apiKey: string
  readonly accountId: string
  readonly ledgerFile: string
  readonly books: Books
  readonly faults: Faults
  /** Idempotency keys of requests that are being worked on, with their fingerprints. */
  readonly keysInUse: Map<string, string>
  readonly refundChangeMs: number
  /** `books.commit`, and whoever waits for news is told. */
  record(drafts: readonly FactDraft[]): void
  drawLatencyMs(): number
  sleep(delayMs: number): Promise<void>
  /** For facts: never before the time of an earlier fact, also where the clock was set back. */
  timestamp(): string
  close(): void
}

/** Opens the ledger and reads it back. Throws an Error with code `ledger-corrupt` where it cannot be read. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const now = options.now ?? (() => new Date())
  const onError = options.onError ?? (() => {})
  const random = seededRandom(options.seed ?? 1)
  const meanLatencyMs = options.latencyMs ?? defaultLatencyMs
  const drawLatency = () => drawLatencyMs(meanLatencyMs, random)
  const ledgerFile = ledgerFileIn(options.ledgerPath)
  const books = openBooks({
    ledgerFile,
    keyTtlMs: options.keyTtlMs ?? defaultKeyTtlMs,
    now,
    maxFacts: options.maxFacts ?? defaultMaxFacts,
  })
  const faults = createFaults()
  const timestamp = () => new Date(Math.max(now().getTime(), books.latestMs())).toISOString()
  const record = (drafts: readonly FactDraft[]) => {
    books.commit(drafts)
    webhooks.wake()
    refundClock.arm()
  }
  const webhooks = deliverWebhooks(
    { books, faults, drawLatencyMs: drawLatency, now, timestamp, onError },
    options.webhookTimes ?? {},
  )
  const refundClock = createRefundClock({ books, now, timestamp, record, onError })
  heedConfiguration(books, options.webhooks ?? { urls: [], secrets: [] }, timestamp())
  webhooks.wake()
  refundClock.arm()

  return {
    apiKey: options.apiKey ?? developmentApiKey,
    accountId: options.accountId ?? accountOf(ledgerFile),
    ledgerFile,
    books,
    faults,
    keysInUse: new Map(),
    refundChangeMs: options.refundChangeMs ?? defaultRefundChangeMs,
    record,
    drawLatencyMs: drawLatency,
    sleep: options.sleep ?? sleep,
    timestamp,
    close() {
      webhooks.stop()
      refundClock.stop()
      books.close()
    },
  }
}

/** A path without an extension is a folder. */
function ledgerFileIn(path: string): string {
  return extname(path) === '' ? join(path, 'ledger.jsonl') : path
}

/** The same after a restart, because what was charged is still in the ledger. */
function accountOf(ledgerFile: string): string {
  return `acct_${createHash('sha256').update(resolve(ledgerFile)).digest('hex').slice(0, 16)}`
}

/** A restart with the same configuration changes nothing, so that what was set by control outlives a kill. */
function heedConfiguration(books: Books, endpoint: WebhookEndpoint, at: string): void {
  if (JSON.stringify(endpoint) === JSON.stringify(books.configuredEndpoint())) return
  books.commit([{ type: 'webhooks.configured', at, by: 'configuration', endpoint }])
}
