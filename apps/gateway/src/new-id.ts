import { createHash, randomBytes } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const idLength = 24

/** `pi_` and 24 letters and digits, as Stripe's look. Random, because a restarted simulator must not give an id twice. */
export function newId(prefix: 'ch' | 'cus' | 'pi' | 'pm' | 're' | 'req'): string {
  return `${prefix}_${lettersFrom(randomBytes(idLength))}`
}

/** The id of an event, the same whenever it is derived from the ledger: nobody has to write events down. */
export function eventId(intentId: string, seq: number, type: string): string {
  return `evt_${lettersFrom(createHash('sha256').update(`${intentId} ${seq} ${type}`).digest().subarray(0, idLength))}`
}

function lettersFrom(bytes: Uint8Array): string {
  let letters = ''
  for (const byte of bytes) letters += alphabet[byte % alphabet.length]
  return letters
}
