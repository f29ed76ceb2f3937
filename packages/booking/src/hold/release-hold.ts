import { type Call, decideToUse } from '@seatbelt/domain'
import { type Guarded, guardTransaction } from '@seatbelt/safety'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { OwnHold } from '../shared/operations.ts'
import { refuse } from '../shared/refuse.ts'
import { freeHolds } from './free-holds.ts'
import { holdLock } from './hold-lock.ts'
import { holdOfAccount, lockHold } from './hold-queries.ts'

/** Frees what a customer holds, before its time is over. */
export function releaseHold(deps: BookingDeps, call: Call, { holdId, customerId }: OwnHold): Promise<Guarded<never>> {
  return guardTransaction(deps.payments.layers, call, {
    lockOn: holdLock(call, holdId),
    work: async (tx) => {
      const hold = await lockHold(tx, holdOfAccount(call.accountId, holdId))
      if (!hold) return refuse({ code: 'hold-not-found', holdId })
      const decision = decideToUse(hold, customerId)
      if (decision.code !== 'use') return refuse(decision)
      freeHolds(deps, tx, [hold], 'released')
      return { kind: 'done', answer: deps.renderings.holdChanged({ ...hold, state: 'released' }) }
    },
  })
}
