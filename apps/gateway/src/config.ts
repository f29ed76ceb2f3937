import { integerField, processFields } from '@seatbelt/http'
import { z } from 'zod'
import { defaultKeyTtlMs, defaultLatencyMs, developmentApiKey } from './simulator.ts'

/** For `readConfig` of @seatbelt/http. */
export const configSchema = z.object({
  ...processFields({ instance: 'gateway', port: 4010 }),
  GATEWAY_LEDGER_PATH: z
    .string()
    .default('.seatbelt/gateway')
    .describe('the append-only ledger: a file, or a folder (a path without extension) that gets a ledger.jsonl'),
  GATEWAY_API_KEY: z.string().default(developmentApiKey).describe('the key that clients must send'),
  GATEWAY_LATENCY_MS: integerField({ min: 0, max: 60_000 })
    .default(defaultLatencyMs)
    .describe('the mean time of a request'),
  GATEWAY_KEY_TTL_SECONDS: integerField({ min: 1, max: 30 * 86_400 })
    .default(defaultKeyTtlMs / 1000)
    .describe('how long idempotency keys are remembered'),
})
