import { processFields, readConfig } from '@seatbelt/http'
import { z } from 'zod'

export const configSchema = z.object({
  ...processFields({ instance: 'auditor', port: 3300 }),
  DATABASE_URL: z.string().min(1).describe('the PostgreSQL database that is audited; it is only read'),
  GATEWAY_URL: z.url().describe('the gateway whose ledger is the witness'),
  MAIL_SINK_URL: z
    .url()
    .optional()
    .describe('the mail sink that knows which receipts arrived; without it nobody can say'),
})

export type AuditorConfig = z.infer<typeof configSchema>

/** Reads the environment, or says what is wrong with it and exits. */
export function readAuditorConfig(): AuditorConfig {
  return readConfig(configSchema)
}
