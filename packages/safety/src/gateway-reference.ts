import { createHash } from 'node:crypto'

/**
 * The gateway reference: the name of an order, payment or refund at the gateway.
 *
 * Guarantees: a step that is repeated after its commit was lost has the same reference, so the gateway's keys and
 * metadata are the same and the step meets the same intent or refund. `source` says what asked for the step, in words
 * that a repetition repeats: the account and the idempotency key, the checkout's number, the payment's number.
 * Does not guarantee: anything once the gateway has forgotten the key, which is a day after it was first used.
 * Fails with: nothing.
 * Source: Stripe's documentation, "Idempotent requests".
 *
 * A reference is a UUIDv7 whose time is zero. The id of the row has the reference behind its own time, so everyone who
 * knows the id knows the reference. Its 74 bits are unique in our tables by index: a collision refuses the newcomer.
 */
export type GatewayReferenceLayer = (...source: readonly (string | number)[]) => string

/** `installation` tells copies of one database apart that share an account at the gateway. It survives a restore. */
export function createGatewayReferenceLayer(installation: string): GatewayReferenceLayer {
  return (...source) => {
    const digits = createHash('sha256')
      .update(JSON.stringify([installation, ...source]))
      .digest('hex')
    const variant = '89ab'[Number.parseInt(digits.slice(3, 4), 16) % 4]
    return `${noTime}-7${digits.slice(0, 3)}-${variant}${digits.slice(4, 7)}-${digits.slice(7, 19)}`
  }
}

const noTime = '00000000-0000'

/**
 * Our id in an object's metadata at the gateway, or null. Other programs write metadata as well, also under our names,
 * so what is no UUID is not ours.
 */
export function ourIdIn(metadata: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = metadata[name]
  return typeof value === 'string' && uuid.test(value) ? value : null
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** An id with the time of `freshId` and this reference behind it. */
export function idWithReference(freshId: string, reference: string): string {
  return freshId.slice(0, noTime.length) + reference.slice(noTime.length)
}
