import {
  doorFields,
  gatewayKeyProblem,
  installationProblem,
  integerField,
  operationFields,
  processFields,
} from '@seatbelt/http'
import { leaseProblem, quorumProblem } from '@seatbelt/payments'
import { z } from 'zod'

/** For `readConfig` of packages/http. */
export const configSchema = z
  .object({
    ...processFields({ instance: 'booking-api-1', port: 4005 }),
    // A hold is one short transaction, and no connection is held while the gateway is asked: ten serve some hundred requests.
    ...operationFields({ poolSize: 10 }),
    ...doorFields(),
    HOLD_SECONDS: integerField({ min: 1, max: 3_600 })
      .default(600)
      .describe('how long a hold keeps its seats, and how long it keeps them anew when it is extended'),
    HOLD_PAUSE_SECONDS: integerField({ min: 0, max: 86_400 })
      .default(0)
      .describe('how long a customer whose hold ended without a payment cannot hold the same seats again; 0: no pause'),
  })
  .superRefine((config, context) => {
    const lease = leaseProblem({ gatewayDeadlineMs: config.GATEWAY_DEADLINE_MS, leaseMs: config.LEASE_MS })
    if (lease) context.addIssue({ code: 'custom', path: ['LEASE_MS'], message: lease })
    const quorum = config.REDIS_LOCK === 'quorum' ? quorumProblem(config.REDIS_URLS.length) : null
    if (quorum) context.addIssue({ code: 'custom', path: ['REDIS_URLS'], message: quorum })
    const key = gatewayKeyProblem(config)
    if (key) context.addIssue({ code: 'custom', path: ['GATEWAY_API_KEY'], message: key })
    const installation = installationProblem(config)
    if (installation) context.addIssue({ code: 'custom', path: ['INSTALLATION'], message: installation })
  })

export type Config = z.output<typeof configSchema>
