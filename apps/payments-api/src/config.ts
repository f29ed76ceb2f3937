import {
  doorFields,
  gatewayKeyProblem,
  installationProblem,
  operationFields,
  processFields,
  webhookFields,
  webhookSecretsProblem,
  webhookTargetsProblem,
} from '@seatbelt/http'
import { leaseProblem, quorumProblem } from '@seatbelt/payments'
import { z } from 'zod'

/** For `readConfig` of packages/http. */
export const configSchema = z
  .object({
    ...processFields({ instance: 'payments-api-1', port: 4001 }),
    // No connection is held while the gateway is asked, so that ten serve some hundred requests in flight.
    ...operationFields({ poolSize: 10 }),
    ...doorFields(),
    ...webhookFields(),
    GATEWAY_WEBHOOK_SECRETS: z
      .string()
      .default('')
      .transform((secrets) => (secrets === '' ? [] : secrets.split(',')))
      .pipe(z.array(z.string().regex(/^\S{8,200}$/, 'secrets have 8 to 200 characters and no spaces')).max(5))
      .describe(
        'what the gateway signs its webhooks with, such as whsec_...; two, separated by a comma, while one is rotated; without any they are not taken',
      ),
  })
  .superRefine((config, context) => {
    const lease = leaseProblem({ gatewayDeadlineMs: config.GATEWAY_DEADLINE_MS, leaseMs: config.LEASE_MS })
    if (lease) context.addIssue({ code: 'custom', path: ['LEASE_MS'], message: lease })
    const quorum = config.REDIS_LOCK === 'quorum' ? quorumProblem(config.REDIS_URLS.length) : null
    if (quorum) context.addIssue({ code: 'custom', path: ['REDIS_URLS'], message: quorum })
    const targets = webhookTargetsProblem(config)
    if (targets) context.addIssue({ code: 'custom', path: ['WEBHOOK_TARGETS'], message: targets })
    const secrets = webhookSecretsProblem(config)
    if (secrets) context.addIssue({ code: 'custom', path: ['GATEWAY_WEBHOOK_SECRETS'], message: secrets })
    const key = gatewayKeyProblem(config)
    if (key) context.addIssue({ code: 'custom', path: ['GATEWAY_API_KEY'], message: key })
    const installation = installationProblem(config)
    if (installation) context.addIssue({ code: 'custom', path: ['INSTALLATION'], message: installation })
  })

export type Config = z.output<typeof configSchema>
