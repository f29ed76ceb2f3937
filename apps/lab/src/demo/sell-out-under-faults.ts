import { setTimeout as sleep } from 'node:timers/promises'
import type { HallSize } from '../../../../loadtests/lib/hall.ts'
import { loads } from '../../../../loadtests/lib/loads.ts'
import type { InvariantId } from '../auditor/invariant.ts'
import type { RunVerdict } from '../auditor/judge-run.ts'
import { withGatewayHealedAfter } from '../load/with-gateway-healed-after.ts'
import type { StackAddresses } from '../stack/current-stack.ts'
import type { Stack } from '../stack/start-stack.ts'
import { askForVerdict } from './auditor-client.ts'
import { type Fired, fireWhileWatching, type Watched } from './fire-while-watching.ts'
import { type Kill, killInTheMiddle } from './kill-replica.ts'
import { describeKill } from './load-under-faults.ts'
import type { BooksWatch } from './watch-books.ts'

export interface SaleUnderFaults {
  readonly root: string
  readonly k6: string
  readonly stack: Stack
  /** Whose hall is sold: the stack's own, or the control's. */
  readonly target: StackAddresses
  readonly run: string
  readonly hall: HallSize
  /** What holds for the control alone; null for the real system. */
  readonly naive: { readonly settleWithinMs: number } | null
  readonly watch: Pick<BooksWatch, 'countBooked' | 'countPaymentsOf'>
  /** The replica that is killed. */
  readonly victim: string
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

export interface SaleResult extends Fired {
  readonly verdict: RunVerdict | null
  readonly kills: readonly Kill[]
}

/** When this share of the hall is booked: the crowd is there, and what it leaves behind is taken over before the last seat is sold. */
const killAtShare = 0.2
const lookEveryMs = 100

/**
 * Fires `on-sale` at a hall, which breaks the gateway by itself, kills a replica of booking-api in the middle of checkouts, and has the
 * auditor judge. The kill comes at a point of the sale's progress, never after a time.
 */
export async function sellOutUnderFaults(options: SaleUnderFaults): Promise<SaleResult> {
  const { root, k6, stack, target, run, hall, naive, say, signal } = options
  const load = { root, k6, stack, target, run, hall, settleWithinMs: naive?.settleWithinMs, signal, name: 'on-sale' }
  const { watched, ...fired } = await withGatewayHealedAfter({ gatewayUrl: target.gatewayUrl, say }, () =>
    fireWhileWatching(load, (its) => watchAndKill(options, its)),
  )
  say('audit       waiting until nothing is being processed any more, then comparing all books, seat by seat ...')
  const expects: readonly InvariantId[] = loads['on-sale'].expects
  const verdict = await askForVerdict(target.auditorUrl, run, expects, signal, (why) => say(`audit       ${why}`))
  return { ...fired, kills: watched, verdict }
}

async function watchAndKill(options: SaleUnderFaults, { over, onLook, endLoad }: Watched): Promise<Kill[]> {
  const { hall, watch, stack, victim, naive, say, signal } = options
  const all = hall.seats + hall.places
  // A database that was given may have sold something before.
  const before = await watch.countBooked()
  const kills: Kill[] = []
  let told = 0
  while (!over.aborted) {
    onLook()
    const booked = (await watch.countBooked()) - before
    const share = booked / all
    if (Math.floor(share * 4) > told) {
      told = Math.floor(share * 4)
      say(`sale        ${booked} of ${all} seats and places are booked`)
    }
    if (kills.length === 0 && share >= killAtShare) {
      // The control leaves no trace of what it was doing.
      const countPaymentsOf = naive === null ? watch.countPaymentsOf : null
      const kill = await killInTheMiddle({ stack, instance: victim, countPaymentsOf, signal: over })
      kills.push(kill)
      say(`fault       ${describeKill(kill, 'checkouts')}`)
    }
    // It never says that it is sold out, because nothing takes back what was held of a tier; it has done its harm by then.
    if (naive !== null && share >= 1) endLoad()
    await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined)
  }
  signal.throwIfAborted()
  return kills
}
