import { hash, randomFillSync } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const idLength = 24

/**
 * `pi_` and 24 letters and digits, as Stripe's look. Random, because a restarted simulator must not give an id twice.
 */
export function newId(prefix: 'ch' | 'cus' | 'dp' | 'pi' | 'pm' | 're' | 'req'): string {
  if (usedBytes === random.length) {
    randomFillSync(random)
    usedBytes = 0
  }
  usedBytes += idLength
  return `${prefix}_${lettersFrom(random.subarray(usedBytes - idLength, usedBytes))}`
}

/** Random bytes for the next ids. Fetched one by one, they cost more CPU than the rest of an id. */
const random = Buffer.alloc(100 * idLength)
let usedBytes = random.length

/** The id of an event, the same whenever it is derived from the ledger: nobody has to write events down. */
export function eventId(intentId: string, seq: number, type: string): string {
  return `evt_${lettersFrom(hash('sha256', `${intentId} ${seq} ${type}`, 'buffer').subarray(0, idLength))}`
}

function lettersFrom(bytes: Uint8Array): string {
  let letters = ''
  for (const byte of bytes) letters += alphabet[byte % alphabet.length]
  return letters
}
