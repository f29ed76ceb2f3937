import { createHash } from 'node:crypto'
import { createAuthenticate, createLogger, createMetrics, createTokenBuckets } from '@seatbelt/http'
import supertest from 'supertest'
import { createApp } from '../src/index.ts'
import { accountId, fakePaymentOperations } from './fake-payment-operations.ts'
import { fakeSubscriptionOperations } from './fake-subscription-operations.ts'
import { fakeWebhookOperations } from './fake-webhook-operations.ts'

export const key = 'key-of-the-shop'
export const foreignKey = 'key-of-another-shop'
const foreignAccountId = '0192f000-0000-7000-8000-000000000002'

/** The app as it is, over a fake of what it calls. A key can be revoked by taking its account away. */
export function testApp({ accountBurst = 1_000, strangerBurst = 1_000 } = {}) {
  const { operations, calls, fake } = fakePaymentOperations()
  const accounts = new Map([
    [sha256(key), accountId],
    [sha256(foreignKey), foreignAccountId],
  ])
  const clock = { nowMs: 0 }
  const now = () => clock.nowMs
  const app = createApp({
    operations,
    subscriptions: fakeSubscriptionOperations(calls),
    webhooks: { operations: fakeWebhookOperations(calls), targets: 'public' },
    // What is delivered is tested over the real thing: here it is only known that there is such a path.
    gatewayEvents: { read: () => ({ kind: 'refused', reason: 'malformed' }), apply: async () => 'ignored' },
    authenticate: createAuthenticate({
      developmentKeys: 'accepted',
      now,
      strangers: createTokenBuckets({ perSecond: 1, burst: strangerBurst, now }),
      findAccountByKeyHash: async (hash) => {
        const found = accounts.get(Buffer.from(hash).toString('hex'))
        return found === undefined ? null : { accountId: found }
      },
    }),
    accounts: createTokenBuckets({ perSecond: 1, burst: accountBurst, now }),
    metrics: createMetrics({ processMetrics: false }),
    logger: createLogger({ level: 'silent', instance: 'payments-api-1' }),
    instance: 'payments-api-1',
  })
  const client = supertest(app)
  return {
    app,
    client,
    calls,
    fake,
    clock,
    revoke: (revoked: string) => accounts.delete(sha256(revoked)),
    get: (path: string) => client.get(path).auth(key, { type: 'bearer' }),
    post: (path: string, idempotencyKey = 'key-1') =>
      client.post(path).auth(key, { type: 'bearer' }).set('Idempotency-Key', idempotencyKey),
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
