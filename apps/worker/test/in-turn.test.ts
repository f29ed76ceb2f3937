import type { Recovered, RecoveredRefund } from '@seatbelt/payments'
import { describe, expect, it } from 'vitest'
import { inTurn } from '../src/in-turn.ts'

const payment = { payment: { id: 'payment' }, result: { kind: 'unsettled' } } as Recovered
const refund = { refund: { id: 'refund' }, result: { kind: 'unsettled' } } as RecoveredRefund

describe('recovery in turn', () => {
  it('takes of both, however many are due with the one', async () => {
    const recover = inTurn(
      async () => payment,
      async () => refund,
    )
    expect([await recover(), await recover(), await recover()]).toEqual([payment, refund, payment])
  })

  it('goes on with the other where nothing is due, and finds nothing only if neither has anything', async () => {
    const due = [refund]
    const recover = inTurn(
      async () => null,
      async () => due.pop() ?? null,
    )
    expect([await recover(), await recover()]).toEqual([refund, null])
  })

  it('does not let a fault of the one keep the other waiting', async () => {
    const recover = inTurn(
      async () => Promise.reject(new Error('this one fails')),
      async () => refund,
    )
    await expect(recover()).rejects.toThrow('this one fails')
    expect(await recover()).toEqual(refund)
  })
})
