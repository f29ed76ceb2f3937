import { integerField, processFields } from '@seatbelt/http'
import { z } from 'zod'
import { defaultRefundChangeMs } from './refund-clock.ts'
import { defaultKeyTtlMs, defaultLatencyMs, developmentApiKey } from './simulator.ts'
import { defaultWebhookTimes } from './webhooks/deliver-webhooks.ts'
import { webhookEndpointSchema } from './webhooks/endpoint-schema.ts'

/** Empty is none. */
const list = z
  .string()
  .default('')
  .transform((text) => (text === '' ? [] : text.split(',')))

const fields = z.object({
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
  GATEWAY_REFUND_CHANGE_MS: integerField({ min: 1, max: 7 * 86_400_000 })
    .default(defaultRefundChangeMs)
    .describe('when a refund changes that changes by itself'),
  GATEWAY_WEBHOOK_URLS: list.describe('where events are sent: the addresses of one receiver, separated by commas'),
  GATEWAY_WEBHOOK_SECRETS: list.describe('what events are signed with: one secret, or several while they are rotated'),
  GATEWAY_WEBHOOK_TIMEOUT_MS: integerField({ min: 100, max: 60_000 })
    .default(defaultWebhookTimes.timeoutMs)
    .describe('how long a receiver of events may take'),
  GATEWAY_WEBHOOK_FIRST_PAUSE_MS: integerField({ min: 1, max: 60_000 })
    .default(defaultWebhookTimes.firstPauseMs)
    .describe('the pause after a first failed delivery; it doubles with each further one'),
  GATEWAY_WEBHOOK_MAX_PAUSE_MS: integerField({ min: 1, max: 3_600_000 })
    .default(defaultWebhookTimes.maxPauseMs)
    .describe('the longest pause between two deliveries'),
  GATEWAY_WEBHOOK_ATTEMPTS: integerField({ min: 1, max: 50 })
    .default(defaultWebhookTimes.maxAttempts)
    .describe('how often the delivery of an event is tried'),
})

/** For `readConfig` of @seatbelt/http. */
export const configSchema = fields.superRefine((config, context) => {
  const endpoint = webhookEndpointSchema.safeParse(webhooksIn(config))
  for (const { message, path } of endpoint.error?.issues ?? []) {
    const name = path[0] === 'urls' ? 'GATEWAY_WEBHOOK_URLS' : 'GATEWAY_WEBHOOK_SECRETS'
    context.addIssue({ code: 'custom', path: [name], message })
  }
})

export function webhooksIn(config: z.infer<typeof fields>): z.infer<typeof webhookEndpointSchema> {
  return { urls: config.GATEWAY_WEBHOOK_URLS, secrets: config.GATEWAY_WEBHOOK_SECRETS }
}
