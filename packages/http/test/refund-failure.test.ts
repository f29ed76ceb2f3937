import { describe, expect, it } from 'vitest'
import { adviseAfterRefund } from '../src/refund-failure.ts'

const failed = (failureCode: string, refundableMinor: number | null = 10_000) =>
  adviseAfterRefund({ failureCode, askedMinor: 10_000, refundableMinor })

describe('the advice after a refund that failed', () => {
  it.each([
    'charge_already_refunded',
    'charge_disputed',
    'refund_disputed_payment',
    'charge_not_refundable',
    'balance_insufficient',
  ])('never is to try again after %s', (code) => {
    const { reason, next, retryable } = failed(code)
    expect(retryable).toBe(false)
    expect(`${reason} ${next}`).not.toMatch(/try again|new key|new request/)
  })

  it('is no other request where nothing is left, whatever the code', () => {
    expect(failed('invalid_request_error', 0)).toMatchObject({ retryable: false, next: 'Nothing is left to refund.' })
  })

  it('names the dispute where it has withdrawn all that is left', () => {
    expect(failed('charge_disputed', 0)).toMatchObject({ retryable: false, reason: expect.stringMatching(/disputes/) })
  })

  it('names what is left where a part was refunded at the gateway', () => {
    const { next, retryable } = failed('invalid_request_error', 9_000)
    expect([next, retryable]).toEqual([
      'To refund the 9000 minor units that are left, send a new request with a new key.',
      true,
    ])
  })

  it('is to try again otherwise', () => {
    expect(failed('expired_or_canceled_card')).toMatchObject({ retryable: true })
    expect(failed('given-up', null)).toMatchObject({ retryable: true })
  })
})
