import { setTimeout as pause } from 'node:timers/promises'

export interface LanesOptions {
  /** Does one thing that is due. False: nothing is. */
  readonly step: () => Promise<boolean>
  /** Things at once. */
  readonly lanes: number
  /** How long a lane rests when nothing is due, on average. */
  readonly idlePauseMs: number
  readonly signal: AbortSignal
  /** A fault in one lane is told and does not end it. */
  readonly onFault: (fault: unknown) => void
}

/** The database is in trouble: asking faster would not help. */
const pauseAfterFaultMs = 2_000

/** Runs until the signal fires, and resolves when what is under way is done. */
export async function runLanes(options: LanesOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.lanes }, () => runLane(options)))
}

async function runLane({ step, idlePauseMs, signal, onFault }: LanesOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      // Jitter, so that lanes and copies that started together do not ask together for ever.
      if (!(await step())) await rest(idlePauseMs * (0.5 + Math.random()), signal)
    } catch (fault) {
      onFault(fault)
      await rest(pauseAfterFaultMs, signal)
    }
  }
}

export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined)
}
