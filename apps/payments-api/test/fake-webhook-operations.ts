import type { WebhookDelivery, WebhookEndpoint } from '@seatbelt/domain'
import { renderings } from '@seatbelt/http'
import type { WebhookOperations } from '@seatbelt/payments'
import { accountId } from './fake-payment-operations.ts'

const at = new Date('2026-11-20T10:00:00.000Z')
export const endpoint: WebhookEndpoint = { url: 'https://shop.example/hooks', createdAt: at, updatedAt: at }
export const delivery: WebhookDelivery = {
  ...{ id: '0192f000-0000-7000-8000-00000000000d', topic: 'payment.succeeded', state: 'dead', attempts: 20 },
  subjectId: '0192f000-0000-7000-8000-00000000000b',
  ...{ lastError: 'HTTP 500', createdAt: at, nextAttemptAt: null, deliveredAt: null, deadAt: at },
}

/** As its siblings: no implementation of anything. One account has an endpoint and a delivery that was given up. */
export function fakeWebhookOperations(calls: { operation: string; arguments: unknown[] }[]): WebhookOperations {
  const noted = (operation: string, args: unknown[]) => calls.push({ operation, arguments: args })
  return {
    setEndpoint: async (...args) => {
      noted('setEndpoint', args)
      const answer = renderings.webhookEndpointSet(
        { ...endpoint, url: args[1].url },
        { secret: 'whsec_s', isNew: true },
      )
      return { kind: 'answered', answer, replayed: false }
    },
    findEndpoint: async (caller) => (caller === accountId ? endpoint : null),
    listDeliveries: async (...args) => {
      noted('listDeliveries', args)
      return args[0] === accountId ? { items: [delivery], next: delivery.id } : { items: [], next: null }
    },
    replayDelivery: async ({ accountId: caller }, deliveryId) => {
      if (caller !== accountId || deliveryId !== delivery.id)
        return { kind: 'refused', refusal: { code: 'webhook-delivery-not-found', deliveryId } }
      return { kind: 'refused', refusal: { code: 'webhook-delivery-not-dead', deliveryId } }
    },
  }
}
