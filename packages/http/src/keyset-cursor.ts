/**
 * Where a page ended: the id of its last item. Ids are UUIDv7 and never change their order, so that a page is neither
 * repeated nor skipped when rows are added meanwhile.
 *
 * Base64url of the sixteen bytes, so that nobody is tempted to make one up. It is not secret and not signed: whatever id
 * is put into it, only rows of the caller's account are listed.
 */
export function encodeCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** @returns the id, or null for what `encodeCursor` never made */
export function decodeCursor(cursor: string): string | null {
  const hex = Buffer.from(cursor, 'base64url').toString('hex')
  const id = hex.replace(/^(.{8})(.{4})(7.{3})([89ab].{3})(.{12})$/, '$1-$2-$3-$4-$5')
  // Decoding is lenient with padding and stray bits; comparing with what we would have made is not.
  return id !== hex && encodeCursor(id) === cursor ? id : null
}
