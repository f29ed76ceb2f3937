import { describe, expect, it } from 'vitest'
import { decideOnSale } from '../src/index.ts'

const event = {
  id: 'event',
  saleOpensAt: new Date('2026-11-20T10:00:00.000Z'),
  saleClosesAt: new Date('2026-11-20T12:00:00.000Z'),
}

describe('an event', () => {
  it.each([
    { when: 'a millisecond before its sale opens', now: '2026-11-20T09:59:59.999Z', code: 'event-not-on-sale' },
    { when: 'in the millisecond in which its sale opens', now: '2026-11-20T10:00:00.000Z', code: 'on-sale' },
    { when: 'in the last millisecond of its sale', now: '2026-11-20T11:59:59.999Z', code: 'on-sale' },
    { when: 'in the millisecond in which its sale closes', now: '2026-11-20T12:00:00.000Z', code: 'event-not-on-sale' },
    { when: 'after its sale', now: '2026-11-21T00:00:00.000Z', code: 'event-not-on-sale' },
  ])('is asked $when: $code', ({ now, code }) => {
    expect(decideOnSale(event, new Date(now)).code).toBe(code)
  })

  it('that is not on sale says when it is, in a form that is the same everywhere', () => {
    expect(decideOnSale(event, new Date(0))).toEqual({
      code: 'event-not-on-sale',
      eventId: 'event',
      saleOpensAt: '2026-11-20T10:00:00.000Z',
      saleClosesAt: '2026-11-20T12:00:00.000Z',
    })
  })
})
