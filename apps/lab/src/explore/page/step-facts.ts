import type { Deviation, Execution, Step } from '@seatbelt/explore'

/** The effect of a step on the customer's money, by the gateway's recorded answer. */
export type Money = 'reserved' | 'taken' | 'taken again' | null

export type Recorded = Pick<Execution, 'schedule' | 'steps'>

/** An act of the scheduler upon an actor, right before a step. */
export interface Note {
  readonly kind: 'switch' | 'fault' | 'wake'
  readonly actor: string
  readonly text: string
}

/** An intent takes money once. A repeated request for it, such as after a lost answer, takes none. */
export function moneyOf(steps: readonly Step[]): Money[] {
  const done = { reserved: new Set<string>(), taken: new Set<string>() }
  return steps.map((step) => {
    const [kind, intent] = moneyMovedBy(step) ?? []
    if (!kind || !intent || done[kind].has(intent)) return null
    done[kind].add(intent)
    return kind === 'taken' && done.taken.size > 1 ? 'taken again' : kind
  })
}

/** Also where the answer was lost: the gateway acted before. */
function moneyMovedBy({ server, text, answer }: Step): ['reserved' | 'taken', intent: string] | null {
  const intent = server === 'gateway' ? /^POST (\S*)\/(?:confirm|capture)\b/.exec(text)?.[1] : undefined
  if (intent === undefined || answer === null) return null
  if (/^2\d\d succeeded\b/.test(answer)) return ['taken', intent]
  return /^2\d\d requires_capture\b/.test(answer) ? ['reserved', intent] : null
}

/** For each step. */
export function notesOf({ schedule, steps }: Recorded): Note[][] {
  return steps.map(({ actor, fault }, at) => [
    ...schedule.deviations.filter((deviation) => deviation.at === at).flatMap((one) => noteOf(one, steps)),
    ...(fault === 'pause' ? [{ kind: 'wake' as const, actor, text: `${actor} wakes after its lease` }] : []),
  ])
}

function noteOf(deviation: Deviation, steps: readonly Step[]): Note[] {
  const fault = (actor: string, text: string): Note[] => [{ kind: 'fault', actor, text }]
  const { at, kind } = deviation
  switch (kind) {
    case 'switch':
      return isInterruption(at, steps) ? [{ kind, actor: deviation.to, text: `switch to ${deviation.to}` }] : []
    case 'pause': {
      // The message that the sleeper sends when it wakes has the fault.
      const sleeper = steps.find((step) => step.n >= at && step.fault === 'pause')?.actor ?? 'a program'
      return fault(sleeper, `${sleeper} sleeps past its lease`)
    }
    case 'flush':
      return fault(steps[at]?.actor ?? '', 'Redis forgets everything')
    case 'time-out':
      return fault(deviation.of, `the lock wait of ${deviation.of} times out`)
    case 'victim':
      return fault(deviation.of, `PostgreSQL ends the deadlock by an error for ${deviation.of}`)
    default:
      return []
  }
}

/** Whether the last actor could have gone on: it waits for nothing, and sends something later. */
function isInterruption(at: number, steps: readonly Step[]): boolean {
  const last = steps[at - 1]
  const isWaiting = last?.outcome === 'blocked' && (last.answeredAt ?? at) >= at
  return last !== undefined && !isWaiting && steps.some(({ n, actor }) => n >= at && actor === last.actor)
}
