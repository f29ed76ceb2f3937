import { extname, join } from 'node:path'
import { type Books, defaultMaxFacts, openBooks } from './books.ts'
import { createFaults, type Faults } from './faults.ts'
import { drawLatencyMs, sleep } from './latency.ts'
import { seededRandom } from './random.ts'

export interface SimulatorOptions {
  /** The append-only file, or a folder (a path without extension) that gets a `ledger.jsonl`. */
  readonly ledgerPath: string
  /** Default: `developmentApiKey`. */
  readonly apiKey?: string | undefined
  /** Mean time of a request under /v1, with jitter. Default 50 ms, what a card payment takes when all is well. */
  readonly latencyMs?: number | undefined
  /** How long idempotency keys are remembered. Default 24 hours, as Stripe documents. */
  readonly keyTtlMs?: number | undefined
  /** For the jitter. Faults have their own, given with the rules. */
  readonly seed?: number | undefined
  readonly now?: (() => Date) | undefined
  /** What a request waits with. Tests put a gate here: it is called once before the effect and once after it. */
  readonly sleep?: ((delayMs: number) => Promise<void>) | undefined
  /** See `defaultMaxFacts`. */
  readonly maxFacts?: number | undefined
}

export const developmentApiKey = 'sk_test_dev_only'

export const defaultLatencyMs = 50

export const defaultKeyTtlMs = 24 * 3_600_000

/** What the endpoints share. */
export interface Simulator {
  readonly apiKey: string
  readonly ledgerFile: string
  readonly books: Books
  readonly faults: Faults
  /** Idempotency keys of requests that are being worked on, with their fingerprints. */
  readonly keysInUse: Map<string, string>
  drawLatencyMs(): number
  sleep(delayMs: number): Promise<void>
  now(): Date
  close(): void
}

/** Opens the ledger and reads it back. Throws an Error with code `ledger-corrupt` where it cannot be read. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const now = options.now ?? (() => new Date())
  const random = seededRandom(options.seed ?? 1)
  const meanLatencyMs = options.latencyMs ?? defaultLatencyMs
  const ledgerFile = ledgerFileIn(options.ledgerPath)
  const books = openBooks({
    ledgerFile,
    keyTtlMs: options.keyTtlMs ?? defaultKeyTtlMs,
    now,
    maxFacts: options.maxFacts ?? defaultMaxFacts,
  })
  return {
    apiKey: options.apiKey ?? developmentApiKey,
    ledgerFile,
    books,
    faults: createFaults(),
    keysInUse: new Map(),
    drawLatencyMs: () => drawLatencyMs(meanLatencyMs, random),
    sleep: options.sleep ?? sleep,
    now,
    close: () => books.close(),
  }
}

/** A path without an extension is a folder. */
function ledgerFileIn(path: string): string {
  return extname(path) === '' ? join(path, 'ledger.jsonl') : path
}
