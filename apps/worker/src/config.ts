import { gatewayKeyProblem, integerField, operationFields, processFields } from '@seatbelt/http'
import { leaseProblem, quorumProblem } from '@seatbelt/payments'
import { z } from 'zod'

/** For `readConfig` of @seatbelt/http. */
export const configSchema = z
  .object({
    ...processFields({ instance: 'worker', port: 4021 }),
    // One for each lane, and some for the settling that overlaps.
    ...operationFields({ poolSize: 6 }),
    RECOVERY_LANES: integerField({ min: 1, max: 32 }).default(4).describe('payments that are recovered at once'),
    RECOVERY_IDLE_MS: integerField({ min: 50, max: 20_000 })
      .default(1_000)
      .describe('how long to rest when nothing is due: how late an abandoned payment is found'),
  })
  .superRefine((config, context) => {
    const lease = leaseProblem({ gatewayDeadlineMs: config.GATEWAY_DEADLINE_MS, leaseMs: config.LEASE_MS })
    if (lease) context.addIssue({ code: 'custom', path: ['LEASE_MS'], message: lease })
    const quorum = config.REDIS_LOCK === 'quorum' ? quorumProblem(config.REDIS_URLS.length) : null
    if (quorum) context.addIssue({ code: 'custom', path: ['REDIS_URLS'], message: quorum })
    const key = gatewayKeyProblem(config)
    if (key) context.addIssue({ code: 'custom', path: ['GATEWAY_API_KEY'], message: key })
  })
