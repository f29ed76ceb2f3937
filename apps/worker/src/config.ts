import {
  gatewayKeyProblem,
  installationProblem,
  integerField,
  operationFields,
  processFields,
  urlField,
  webhookFields,
  webhookTargetsProblem,
} from '@seatbelt/http'
import { lanesProblem, leaseProblem, quorumProblem, relayLeaseProblem } from '@seatbelt/payments'
import { z } from 'zod'

/** For `readConfig` of @seatbelt/http. */
export const configSchema = z
  .object({
    ...processFields({ instance: 'worker', port: 4021 }),
    // One for each lane, and some for the settling that overlaps.
    ...operationFields({ poolSize: 8 }),
    ...webhookFields(),
    RECOVERY_LANES: integerField({ min: 1, max: 32 }).default(4).describe('payments that are recovered at once'),
    RECOVERY_IDLE_MS: integerField({ min: 50, max: 20_000 })
      .default(1_000)
      .describe('how long to rest when nothing is due: how late an abandoned payment is found'),
    SMTP_URL: urlField('smtp', 'smtps')
      .optional()
      .describe('the mail server that takes receipts, such as smtp://user:password@host:587; without it none are sent'),
    MAIL_FROM: z
      .email('must be a bare mail address')
      .optional()
      .describe("the receipts' sender, such as receipts@example.com"),
    RELAY_LANES: integerField({ min: 1, max: 32 })
      .default(2)
      .describe('messages that are sent at once on each channel: receipts and webhooks'),
    RELAY_IDLE_MS: integerField({ min: 50, max: 20_000 })
      .default(1_000)
      .describe('how long to rest when nothing is to be sent: how late a message leaves'),
    RELAY_SEND_DEADLINE_MS: integerField({ min: 100, max: 120_000 })
      .default(15_000)
      .describe('how long a mail server or a receiver of webhooks may take to say that it has a message'),
    RELAY_LEASE_MS: integerField({ min: 1_000, max: 600_000 })
      .default(60_000)
      .describe(
        'how long a message belongs to the relay that took it; when a relay was killed, it leaves again after this',
      ),
    BILLING_INTERVAL_SECONDS: integerField({ min: 1, max: 86_400 })
      .default(3_600)
      .describe('how often subscriptions are billed, at full intervals of the clock: 3600 is at every full hour'),
    RECONCILE_HOURS: integerField({ min: 1, max: 168 })
      .default(24)
      .describe("how often the gateway's lists are held against our books; it only reports"),
    BILLING_LANES: integerField({ min: 1, max: 32 })
      .default(4)
      .describe('invoices that the leading worker charges at once'),
  })
  .superRefine((config, context) => {
    const lease = leaseProblem({ gatewayDeadlineMs: config.GATEWAY_DEADLINE_MS, leaseMs: config.LEASE_MS })
    if (lease) context.addIssue({ code: 'custom', path: ['LEASE_MS'], message: lease })
    const relayLease = relayLeaseProblem({
      sendDeadlineMs: config.RELAY_SEND_DEADLINE_MS,
      leaseMs: config.RELAY_LEASE_MS,
    })
    if (relayLease) context.addIssue({ code: 'custom', path: ['RELAY_LEASE_MS'], message: relayLease })
    const lanes = lanesProblem(config.RECOVERY_LANES + config.BILLING_LANES)
    if (lanes) context.addIssue({ code: 'custom', path: ['BILLING_LANES'], message: `with RECOVERY_LANES, ${lanes}` })
    const quorum = config.REDIS_LOCK === 'quorum' ? quorumProblem(config.REDIS_URLS.length) : null
    if (quorum) context.addIssue({ code: 'custom', path: ['REDIS_URLS'], message: quorum })
    // Without a mail server a developer misses nothing; customers in production would, silently.
    const needsMail = config.NODE_ENV === 'production' || config.SMTP_URL !== undefined
    if (config.NODE_ENV === 'production' && config.SMTP_URL === undefined)
      context.addIssue({ code: 'custom', path: ['SMTP_URL'], message: 'production sends receipts' })
    if (needsMail && config.MAIL_FROM === undefined)
      context.addIssue({ code: 'custom', path: ['MAIL_FROM'], message: 'receipts need a sender' })
    const targets = webhookTargetsProblem(config)
    if (targets) context.addIssue({ code: 'custom', path: ['WEBHOOK_TARGETS'], message: targets })
    const key = gatewayKeyProblem(config)
    if (key) context.addIssue({ code: 'custom', path: ['GATEWAY_API_KEY'], message: key })
    const installation = installationProblem(config)
    if (installation) context.addIssue({ code: 'custom', path: ['INSTALLATION'], message: installation })
  })
