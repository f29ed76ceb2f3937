import type { Schedule } from '@seatbelt/explore'
import type { LayerName } from './explore-report.ts'
import type { MutantName } from './mutants.ts'
import type { ScenarioName } from './scenarios.ts'

/** A fault of this project that a schedule shows. A test replays it, with the repair and without. */
export interface Found {
  readonly fault: string
  readonly workload: ScenarioName
  /** The layers that are off, because they would stop the same fault. */
  readonly off: readonly LayerName[]
  /** It reverts the repair. */
  readonly mutant: MutantName
  readonly schedule: Schedule
  readonly mendedBy: string
}

export const found: readonly Found[] = [
  {
    fault: "The authorizing COMMIT got no answer, and its owner took a merchant's capture for its own next step.",
    workload: 'lost commit against capture',
    off: ['redis lock', 'gateway reference'],
    mutant: 'a claim leaves the former owner on the row',
    schedule: {
      first: 'a',
      deviations: [
        { at: 12, kind: 'switch', to: 'b' },
        { at: 21, kind: 'lose-answer' },
      ],
    },
    mendedBy: 'the owner of each generation stands on the row',
  },
]

/** The rows of the table in docs/found.md. */
export function renderFound(): string {
  return found
    .map(({ fault, workload, off, mutant, schedule, mendedBy }) => {
      const cells = [fault, workload, off.join(', '), `"${mutant}"`, inWords(schedule), mendedBy]
      return `| ${cells.join(' | ')} |`
    })
    .join('\n')
}

function inWords({ first, deviations }: Schedule): string {
  const steps = deviations.map((deviation) => {
    const what = deviation.kind === 'switch' ? `switch to ${deviation.to}` : deviation.kind
    return `${what} at step ${deviation.at}`
  })
  return [`${first} begins`, ...steps].join(', ')
}
