import { describe, expect, it } from 'vitest'
import { parseForm } from '../src/wire/form.ts'

/** As the parameters' schemas see it: they do not care about prototypes. */
const read = (text: string) => JSON.parse(JSON.stringify(parseForm(text)))

describe('a form', () => {
  it.each<[string, string, unknown]>([
    ['text', 'amount=1999&currency=eur', { amount: '1999', currency: 'eur' }],
    ['an object', 'metadata[orderId]=o1&metadata[paymentId]=p1', { metadata: { orderId: 'o1', paymentId: 'p1' } }],
    ['a list by numbers', 'expand[0]=a&expand[1]=b', { expand: ['a', 'b'] }],
    ['a list without numbers', 'expand[]=a&expand[]=b', { expand: ['a', 'b'] }],
    ['a list with a number that no list has', 'expand[4000000000]=x', { expand: ['x'] }],
    ['names and values that are encoded', 'metadata%5Ba+b%5D=%C3%A9+%26', { metadata: { 'a b': 'é &' } }],
    ['an empty value', 'metadata[a]=&b', { metadata: { a: '' }, b: '' }],
    ['nothing', '', {}],
  ])('holds %s', (_name, text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it.each<[string, string, unknown]>([
    ['a name that comes twice', 'amount=1&amount=2', { amount: ['1', '2'] }],
    ['text that is an object as well', 'metadata=x&metadata[a]=b', { metadata: ['x', { a: 'b' }] }],
    ['a name with too many parts', 'a[b][c][d][e][f]=x', { 'a[b][c][d][e][f]': 'x' }],
    ['a name that begins with a bracket', '[a]=x', { '[a]': 'x' }],
  ])('turns %s into something that no parameter accepts', (_name, text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it('cannot reach the prototype of objects', () => {
    parseForm('__proto__[polluted]=yes&constructor[prototype][polluted]=yes')
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})
