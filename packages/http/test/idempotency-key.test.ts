import { describe, expect, it } from 'vitest'
import { readIdempotencyKey } from '../src/index.ts'

function read(...values: string[]) {
  return readIdempotencyKey({ headersDistinct: values.length === 0 ? {} : { 'idempotency-key': values } })
}

function codeOf(result: ReturnType<typeof read>): unknown {
  return 'status' in result ? [result.status, JSON.parse(result.body).code] : result
}

const malformed = [400, 'idempotency-key-malformed']

describe('the Idempotency-Key header', () => {
  it.each([
    ['a bare UUID', '0192f000-0000-7000-8000-000000000001', '0192f000-0000-7000-8000-000000000001'],
    ['a quoted string', '"a b,c"', 'a b,c'],
    ['an escaped quote', String.raw`"say \"hi\""`, 'say "hi"'],
    ['an escaped backslash', String.raw`"a\\b"`, String.raw`a\b`],
    ['255 characters', 'k'.repeat(255), 'k'.repeat(255)],
    ['255 characters that are 510 with their escapes', `"${'\\"'.repeat(255)}"`, '"'.repeat(255)],
    ['the characters of base64', 'YWJj+/==', 'YWJj+/=='],
  ])('takes %s', (_what, value, key) => {
    expect(read(value)).toEqual({ key })
  })

  it('takes the quoted and the bare spelling of one key for one key', () => {
    expect(read('"abc"')).toEqual(read('abc'))
  })

  it('says that it is missing', () => {
    expect(codeOf(read())).toEqual([400, 'idempotency-key-missing'])
  })

  it.each([
    ['nothing', ''],
    ['empty quotes', '""'],
    ['256 characters', 'k'.repeat(256)],
    ['256 quoted characters', `"${'k'.repeat(256)}"`],
    ['a space in a bare token', 'a b'],
    ['a comma, as of two headers that were joined', 'a, b'],
    ['two quoted strings', '"a", "b"'],
    ['an open quote', '"abc'],
    ['a quote inside quotes', '"a"b"'],
    ['an unknown escape', String.raw`"a\nb"`],
    ['a backslash at the end', '"abc\\"'],
    ['a character beyond ASCII', '"clé"'],
    ['a bare character beyond ASCII', 'clé'],
    ['a control character', '"a\u0000b"'],
    ['parameters', '"abc";v=1'],
  ])('refuses %s', (_what, value) => {
    expect(codeOf(read(value))).toEqual(malformed)
  })

  it('refuses two headers, even if they agree', () => {
    expect(codeOf(read('a', 'a'))).toEqual(malformed)
  })
})
