import type { Books } from './books.ts'
import { changeRefund } from './change-refund.ts'
import type { FactDraft } from './facts.ts'

/** Long enough that the answer to the refund is there first, short enough to watch. At a real bank it is days. */
export const defaultRefundChangeMs = 2_000

export interface RefundClock {
  /** Cheap; to be called whenever there may be a new refund. */
  arm(): void
  stop(): void
}

interface RefundClockDeps {
  readonly books: Books
  readonly now: () => Date
  readonly timestamp: () => string
  readonly record: (drafts: readonly FactDraft[]) => void
  readonly onError: (error: unknown) => void
}

/** Changes refunds when the time of their outlook has come. One timer, for the oldest, however many are waiting. */
export function createRefundClock({ books, now, timestamp, record, onError }: RefundClockDeps): RefundClock {
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  function arm(): void {
    if (timer || isStopped) return
    for (const { outlook } of books.refundsWithOutlook()) {
      if (!outlook) continue
      timer = setTimeout(changeDue, Math.max(1, Date.parse(outlook.at) - now().getTime()))
      timer.unref()
      return
    }
  }

  function changeDue(): void {
    timer = undefined
    try {
      const at = now().getTime()
      const due = [...books.refundsWithOutlook()].flatMap((refund) =>
        refund.outlook && Date.parse(refund.outlook.at) <= at
          ? [changeRefund(refund, refund.outlook.status, timestamp())]
          : [],
      )
      record(due)
      arm()
    } catch (error) {
      onError(error)
    }
  }

  return {
    arm,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
