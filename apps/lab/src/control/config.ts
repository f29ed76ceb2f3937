import { integerField, processFields, readConfig } from '@seatbelt/http'
import { z } from 'zod'

const schema = z.object({
  ...processFields({ instance: 'control-1', port: 4101 }),
  DATABASE_URL: z.string().min(1).describe("the control's own database, which has no unique indexes"),
  DATABASE_POOL_SIZE: integerField({ min: 1, max: 100 }).default(10).describe('connections at most'),
  GATEWAY_URL: z.url().describe('the gateway simulator; never a real gateway'),
  GATEWAY_API_KEY: z.string().min(1).default('sk_test_dev_only').describe("the gateway's key"),
  GATEWAY_DEADLINE_MS: integerField({ min: 100, max: 60_000 })
    .default(3_000)
    .describe('for one request to the gateway'),
  GATEWAY_WEBHOOK_SECRETS: z
    .string()
    .default('')
    .describe(
      'what the gateway signs its events with: then they book the money, not the requests; without, none are taken',
    ),
  HOLD_SECONDS: integerField({ min: 1, max: 3_600 }).default(600).describe('how long a hold keeps its seats'),
  BILLING_INTERVAL_SECONDS: integerField({ min: 0, max: 86_400 })
    .default(0)
    .describe('how often each copy bills what is due, at full intervals of its clock; 0: never'),
})

export type ControlConfig = z.infer<typeof schema>

/** Reads the environment, or says what is wrong with it and exits. */
export function readControlConfig(): ControlConfig {
  const config = readConfig(schema)
  // It charges customers twice. Nothing may ever mistake it for a program to run.
  if (config.NODE_ENV === 'production' || config.GATEWAY_API_KEY.includes('live')) {
    process.stderr.write('The control charges twice on purpose. It does not start in production.\n')
    process.exit(1)
  }
  return config
}
