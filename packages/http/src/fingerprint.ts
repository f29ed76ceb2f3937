import { createHash } from 'node:crypto'

/**
 * What makes two requests the same one: method, path, and what the body says.
 *
 * The body counts as parsed, because that is what is executed: the order of members, white space, and other spellings of
 * the same number or string (`1e2`, `"\u0061"`) do not make another request. Of a member that is written twice the last
 * one counts, here as in `JSON.parse`. A lone surrogate is kept apart from U+FFFD, which UTF-8 would turn it into.
 * The path counts as sent, so that an id spelled with escapes is another request; it is refused, not executed twice.
 *
 * @returns SHA-256, 32 bytes
 */
export function fingerprint(method: string, path: string, body: unknown): Uint8Array {
  return createHash('sha256').update(`${method}\n${path}\n`).update(canonicalJson(body)).digest()
}

/** JSON with its members sorted. It recurses, which is safe because only bodies that fit a schema come here. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
  }
  // Well-formed since ES2019: a lone surrogate comes out as its escape.
  return JSON.stringify(value)
}
