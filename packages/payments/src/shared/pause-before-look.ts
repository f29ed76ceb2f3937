import type { Runtime } from '@seatbelt/domain'
import { backoffMs } from '@seatbelt/locks'

/**
 * First pauses of about a second, later ones of at most 20 s, so that all is settled within a minute of the gateway's
 * being well.
 */
const lookPauses = { baseMs: 1_000, maxMs: 20_000 }
/** A bank takes hours or days, and the gateway tells when it is done: looking is for the case that its word is lost. */
const bankPauseMs = 600_000
/** A person is told, and no gateway is kept busy; but the evidence may still come. */
const reviewPauseMs = 3_600_000

/** How long recovery leaves alone what it looked at so often before, by what it waits for. */
export function pauseBeforeLookMs(
  { random }: Pick<Runtime, 'random'>,
  attempts: number,
  waitsFor: 'gateway' | 'bank' | 'person',
): number {
  switch (waitsFor) {
    case 'gateway':
      return backoffMs(attempts, { ...lookPauses, random })
    case 'bank':
      return bankPauseMs
    case 'person':
      return reviewPauseMs
    default:
      return waitsFor satisfies never
  }
}
