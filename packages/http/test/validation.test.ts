import { expect, it } from 'vitest'
import { z } from 'zod'
import { validate } from '../src/index.ts'

const schema = z.strictObject({
  amountMinor: z.int().min(1),
  items: z.array(z.strictObject({ name: z.string() })).optional(),
})

function errorsOf(value: unknown): unknown {
  const result = validate(schema, value)
  if (!('status' in result)) throw new Error('it fits')
  const body = JSON.parse(result.body)
  expect([result.status, body.code]).toEqual([400, 'invalid-request'])
  return body.errors
}

it('gives back what fits', () => {
  expect(validate(schema, { amountMinor: 1 })).toEqual({ value: { amountMinor: 1 } })
})

it('names each field that does not fit by its path', () => {
  expect(errorsOf({ amountMinor: 0, items: [{ name: 'a' }, { name: 1 }] })).toEqual([
    { path: 'amountMinor', message: expect.stringContaining('>=1') },
    { path: 'items.1.name', message: expect.stringContaining('string') },
  ])
})

it('says that a field is required, and that another is not known', () => {
  expect(errorsOf({ amount: 1, items: [{ name: 'a', size: 2 }] })).toEqual([
    { path: 'amountMinor', message: 'is required' },
    { path: 'items.0.size', message: 'is not known here' },
    { path: 'amount', message: 'is not known here' },
  ])
})

it.each([[null], [undefined], [[]], ['text'], [1]])('takes %j for no object', (value) => {
  expect(errorsOf(value)).toMatchObject([{ path: '' }])
})

it('does not take __proto__ for a known field', () => {
  expect(errorsOf(JSON.parse('{"amountMinor":1,"__proto__":{}}'))).toEqual([
    { path: '__proto__', message: 'is not known here' },
  ])
})

it('reports twenty errors at most', () => {
  const unknown = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`field${i}`, 1]))
  expect(errorsOf({ amountMinor: 1, ...unknown })).toHaveLength(20)
})
