import { describe, expect, it } from 'vitest'
import { fingerprint } from '../src/index.ts'

function ofText(json: string): string {
  return Buffer.from(fingerprint('POST', '/v1/orders', JSON.parse(json))).toString('hex')
}

describe('the fingerprint of a request', () => {
  it('is 32 bytes', () => {
    expect(fingerprint('POST', '/v1/orders', {})).toHaveLength(32)
  })

  it.each([
    ['the order of members', '{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}'],
    ['white space', '{"a":[1,2]}', ' {\n"a" : [ 1 ,\t2 ] } '],
    ['the spelling of a number', '{"a":100}', '{"a":1e2}'],
    ['the spelling of a string', '{"a":"A"}', '{"\\u0061":"\\u0041"}'],
    ['what an earlier member of the same name said', '{"a":1}', '{"a":2,"a":1}'],
  ])('does not depend on %s', (_what, one, other) => {
    expect(ofText(one)).toBe(ofText(other))
  })

  it.each([
    ['a value', '{"a":1}', '{"a":2}'],
    ['a type', '{"a":1}', '{"a":"1"}'],
    ['null and absence', '{"a":null}', '{}'],
    ['the order of a list', '[1,2]', '[2,1]'],
    ['where a value belongs', '{"a":{"b":1},"c":{}}', '{"a":{},"c":{"b":1}}'],
    ['names that need quoting', '{"a":1,"b":2}', '{"a\\":1,\\"b":2}'],
    ['a lone surrogate and the replacement character', '{"a":"\\ud800"}', '{"a":"\ufffd"}'],
    ['two lone surrogates', '{"a":"\\ud800"}', '{"a":"\\ud801"}'],
    ['composed and decomposed letters', '{"a":"\u00e9"}', '{"a":"e\u0301"}'],
    ['a member that is called __proto__', '{"__proto__":{"a":1}}', '{}'],
  ])('tells apart %s', (_what, one, other) => {
    expect(ofText(one)).not.toBe(ofText(other))
  })

  it('tells apart methods and paths', () => {
    const seen = [
      fingerprint('POST', '/v1/orders', {}),
      fingerprint('PUT', '/v1/orders', {}),
      fingerprint('POST', '/v1/orders/1', {}),
    ].map((hash) => Buffer.from(hash).toString('hex'))
    expect(new Set(seen).size).toBe(3)
  })
})
