import { gatewayKeyProblem, installationProblem, operationFields, processFields } from '@seatbelt/http'
import { leaseProblem, quorumProblem } from '@seatbelt/payments'
import { z } from 'zod'

/** What an operator's command reads, for `readConfig` of @seatbelt/http: what the worker reads, so that it runs with the same environment. */
export function operatorConfigSchema(instance: string) {
  const { INSTANCE, LOG_LEVEL, NODE_ENV } = processFields({ instance, port: 0 })
  return z
    .object({
      INSTANCE,
      // It answers a person: what is usual is not logged in between.
      LOG_LEVEL: LOG_LEVEL.removeDefault().default('warn'),
      NODE_ENV,
      // It does one thing after the other.
      ...operationFields({ poolSize: 2 }),
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
}
