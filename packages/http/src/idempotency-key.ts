import type { IncomingMessage } from 'node:http'
import type { Answer } from './answer.ts'
import { problem } from './problem.ts'

/** Room for any UUID, hash or composed name; the column has the same bound. */
const maxKeyCharacters = 255

/** Printable ASCII in quotes; a quote or a backslash is written with a backslash before it, and nothing else is. */
const quotedString = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/

/** The token characters of RFC 9110, and those that ids like to have: `:`, `/`, `=`, `@`. No comma: that joins two headers. */
const bareToken = /^[A-Za-z0-9!#$%&'*+.^_`|~:/=@-]+$/

/**
 * Reads the Idempotency-Key header: a quoted string as RFC 8941 has it, or the bare token that most clients send. Both
 * spellings of the same characters are the same key.
 *
 * @returns the key, 1 to 255 characters of printable ASCII, or the 400 that says what is wrong with it
 */
export function readIdempotencyKey(request: Pick<IncomingMessage, 'headersDistinct'>): { key: string } | Answer {
  const values = request.headersDistinct['idempotency-key']
  if (values === undefined) {
    return problem(
      'idempotency-key-missing',
      'Send a new key, such as a UUID, and the same one whenever you try again.',
    )
  }
  const [value, second] = values
  if (value === undefined || second !== undefined) return malformed('The header was sent more than once.')
  if (value === '') return malformed('The header is empty.')

  const key = bareToken.test(value) ? value : unquoted(value)
  if (key === null) return malformed('It is neither a token nor a string in double quotes, of printable ASCII.')
  if (key === '') return malformed('The key is empty.')
  if (key.length > maxKeyCharacters) return malformed(`The key is longer than ${maxKeyCharacters} characters.`)
  return { key }
}

function unquoted(value: string): string | null {
  return quotedString.exec(value)?.[1]?.replace(/\\(["\\])/g, '$1') ?? null
}

function malformed(detail: string): Answer {
  return problem('idempotency-key-malformed', detail)
}
