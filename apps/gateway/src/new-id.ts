import { randomBytes } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** `pi_` and 24 letters and digits, as Stripe's look. Random, because a restarted simulator must not give an id twice. */
export function newId(prefix: 'pi' | 'ch' | 'req'): string {
  let id = `${prefix}_`
  for (const byte of randomBytes(24)) id += alphabet[byte % alphabet.length]
  return id
}
