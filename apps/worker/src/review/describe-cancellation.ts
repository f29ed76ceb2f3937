import type { CancelledWithoutRefund } from '@seatbelt/booking'
import type { CommandResult } from '@seatbelt/payments'

export function describeCancellation(id: string, result: CancelledWithoutRefund): CommandResult {
  switch (result.kind) {
    case 'not-found':
      return { text: `There is no booking ${id}.\n`, exitCode: 2 }
    case 'not-cancelled': {
      const why = result.isRefundOpen ? 'the outcome of a refund is not known yet' : `it is ${result.state}`
      return { text: `Nothing was done to booking ${id}: ${why}.\n`, exitCode: 1 }
    }
    case 'cancelled':
      return {
        text: `Done: booking ${id} is cancelled and its seats are free. ${result.keptMinor} minor units were not refunded.\n`,
        exitCode: 0,
      }
    default:
      return result satisfies never
  }
}
