import { randomUUID } from 'node:crypto'
import type { Job } from '../load/slice.ts'

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'

const customerId = 'bench'
const amountMinor = 1_000
const paymentMethod = 'pm_card_visa'

export function orderJob(): Job {
  const body = JSON.stringify({ customerId, amountMinor, currency: 'EUR' })
  return { path: '/v1/orders', idempotencyKey: randomUUID(), body, contentType: json }
}

export function paymentJob(orderId: string): Job {
  const body = JSON.stringify({ paymentMethod })
  return { path: `/v1/orders/${orderId}/payments`, idempotencyKey: randomUUID(), body, contentType: json }
}

/** An event with one section, in which each row has seats for so many holds of two. */
export function eventJob(rows: number): Job {
  const names = Array.from({ length: rows }, (_, index) => ({ name: `${index + 1}`, from: 1, to: 2 * holdsPerRow }))
  const body = JSON.stringify({
    name: 'Bench',
    currency: 'EUR',
    saleOpensAt: new Date(Date.now() - 60_000),
    saleClosesAt: new Date(Date.now() + 86_400_000),
    sections: [{ name: 'Hall', priceMinor: 500, rows: names }],
  })
  return { path: '/v1/events', idempotencyKey: randomUUID(), body, contentType: json }
}

export const holdsPerRow = 25

/** Each hold has a customer of its own, because one customer may not hold many seats. */
export function holdJob(eventId: string, seatIds: readonly string[]): Job {
  const body = JSON.stringify({ customerId: `bench-${randomUUID()}`, seatIds })
  return { path: `/v1/events/${eventId}/holds`, idempotencyKey: randomUUID(), body, contentType: json }
}

export function checkoutJob({ id, customerId: holder }: { readonly id: string; readonly customerId: string }): Job {
  const body = JSON.stringify({ customerId: holder, paymentMethod })
  return { path: `/v1/holds/${id}/checkout`, idempotencyKey: randomUUID(), body, contentType: json }
}

export function createIntentJob(): Job {
  const body = new URLSearchParams({ amount: String(amountMinor), currency: 'eur', confirm: 'false' }).toString()
  return { path: '/v1/payment_intents', idempotencyKey: randomUUID(), body, contentType: form }
}

export function confirmIntentJob(intentId: string): Job {
  const body = new URLSearchParams({ payment_method: paymentMethod }).toString()
  return { path: `/v1/payment_intents/${intentId}/confirm`, idempotencyKey: randomUUID(), body, contentType: form }
}
