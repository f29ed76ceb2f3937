import { decideToUse } from '@seatbelt/domain'
import { type Call, type Guarded, guardTransaction } from '@seatbelt/safety'
import { refuse } from '../event/read-sale.ts'
import type { BookingDeps } from '../shared/booking-deps.ts'
import type { OwnHold } from '../shared/operations.ts'
import { freeHold, seatNews } from './free-hold.ts'
import { atHold } from './hold-lock.ts'
import { lockHold } from './hold-rows.ts'

/** Gives back what a customer holds, before its time is over. */
export function releaseHold(deps: BookingDeps, call: Call, { holdId, customerId }: OwnHold): Promise<Guarded<never>> {
  const { layers, renderings } = deps
  return guardTransaction(layers, call, {
    ...atHold(call, holdId),
    work: async (tx) => {
      const hold = await lockHold(tx, call.accountId, holdId)
      if (!hold) return refuse({ code: 'hold-not-found', holdId })
      const decision = decideToUse(hold, customerId)
      if (decision.code !== 'use') return refuse(decision)
      await freeHold(seatNews(deps), tx, hold, 'released')
      return { kind: 'done', answer: renderings.holdChanged({ ...hold, state: 'released' }) }
    },
  })
}
