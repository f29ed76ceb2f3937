import { expect, it } from 'vitest'
import { describeCancellation } from '../src/review/describe-cancellation.ts'

it('says what was done, or why nothing was', () => {
  const text = (result: Parameters<typeof describeCancellation>[1]) => describeCancellation('b1', result)
  expect(text({ kind: 'not-found' })).toMatchObject({ exitCode: 2 })
  expect(text({ kind: 'not-cancelled', state: 'cancelled', isRefundOpen: false })).toEqual({
    text: 'Nothing was done to booking b1: it is cancelled.\n',
    exitCode: 1,
  })
  expect(text({ kind: 'not-cancelled', state: 'cancelling', isRefundOpen: true }).text).toMatch(/outcome of a refund/)
  expect(text({ kind: 'cancelled', keptMinor: 9_000 })).toMatchObject({ exitCode: 0 })
})
