import { operationFields, processFields } from '@seatbelt/http'
import { z } from 'zod'

const { INSTANCE, LOG_LEVEL, NODE_ENV } = processFields({ instance: 'migrate', port: 0 })
const { DATABASE_URL, DATABASE_WAIT_MS, SEATBELT_DEMO_KEYS } = operationFields({ poolSize: 1 })

/** For `readConfig` of @seatbelt/http. */
export const configSchema = z.object({
  INSTANCE,
  LOG_LEVEL,
  NODE_ENV,
  SEATBELT_DEMO_KEYS,
  DATABASE_URL,
  DATABASE_WAIT_MS,
})
