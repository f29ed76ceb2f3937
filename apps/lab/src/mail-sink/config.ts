import { integerField, processFields } from '@seatbelt/http'
import { z } from 'zod'

/** For `readConfig` of packages/http. */
export const configSchema = z.object({
  ...processFields({ instance: 'mail-sink', port: 4040 }),
  MAIL_SINK_SMTP_PORT: integerField({ min: 0, max: 65_535 })
    .default(4041)
    .describe('the port on which mail is taken; 0 takes a free one'),
  MAIL_SINK_FILE: z
    .string()
    .default('.seatbelt/mail/messages.jsonl')
    .describe('the file to which every message is appended, one line each'),
  MAIL_SINK_FORWARD_TO: z
    .string()
    .regex(/^([A-Za-z0-9.-]+:\d{1,5})?$/, 'must be host:port')
    .default('')
    .describe('host:port of a mail server for people to look at, which gets a copy of everything; empty: none'),
})
