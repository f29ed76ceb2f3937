import type { Deviation, Execution, Step } from '@seatbelt/explore'
import type { Game } from '../explore-report.ts'
import { Dictionary, lifelinesOf, type ShownStep, showSteps, type Text } from './shown-steps.ts'

/** Recorded schedules as a tree. Each edge is a choice of the scheduler; equal subtrees are stored once. */
export interface ShownGame extends Pick<Game, 'workload' | 'off'> {
  readonly actors: readonly string[]
  readonly servers: readonly string[]
  /** The actors that the scheduler chooses from. The others run at a fixed time. */
  readonly players: readonly string[]
  readonly steps: readonly GameStep[]
  readonly nodes: readonly GameNode[]
  readonly root: number
  readonly ends: readonly GameEnd[]
}

/** A step as it is seen at its time: the answer of a step that waits comes with a later node. */
interface GameStep extends ShownStep {
  /** The scheduler's choice in words. */
  readonly choice: string
}

type GameNode = readonly [step: number, children: number[], released: readonly Released[], end: number | null]
/** How many steps ago the released step was sent, its answer, and how many steps ago the answer came. */
type Released = readonly [sentAgo: number, answer: string | null, answeredAgo: number]
type GameEnd = Pick<Execution, 'endings' | 'violations'>

interface Branch {
  readonly step: number
  readonly released: readonly Released[]
  readonly next: Map<string, Branch>
  end: number | null
}

export function buildGame({ workload, off, executions }: Game, texts: Dictionary<Text>): ShownGame {
  const steps = new Dictionary<GameStep>()
  const ends = new Dictionary<GameEnd>()
  const root = newBranch(-1, [])
  for (const execution of executions) {
    const { endings, violations } = execution
    let branch = root
    showSteps(execution.steps, texts).forEach((step, at, all) => {
      branch = grow(branch, steps.add(atItsTime(step, choiceOf(execution, at))), releasedAt(all, at))
    })
    branch.end = ends.add({ endings, violations })
  }
  const nodes = new Dictionary<GameNode>()
  const rootNumber = store(root, nodes)
  return {
    workload,
    off,
    ...lifelinesOf([...new Set(executions.flatMap(({ actors }) => actors))], steps.values),
    players: [...new Set(executions.map(({ schedule }) => schedule.first))],
    steps: steps.values,
    nodes: nodes.values,
    root: rootNumber,
    ends: ends.values,
  }
}

function newBranch(step: number, released: readonly Released[]): Branch {
  return { step, released, next: new Map(), end: null }
}

function grow({ next }: Branch, step: number, released: readonly Released[]): Branch {
  const key = JSON.stringify([step, released])
  const branch = next.get(key) ?? newBranch(step, released)
  next.set(key, branch)
  return branch
}

function store({ step, released, next, end }: Branch, nodes: Dictionary<GameNode>): number {
  const children = [...next.values()].map((branch) => store(branch, nodes))
  return nodes.add([step, children, released, end])
}

function atItsTime(step: ShownStep, choice: string): GameStep {
  return step.waits ? { ...step, answer: null, answeredAt: null, choice } : { ...step, answeredAt: null, choice }
}

/**
 * The waits that end with this step.
 *
 * A time-out and the end of a deadlock are choices of their own, made after one step. They belong to the next one.
 */
function releasedAt(steps: readonly ShownStep[], at: number): Released[] {
  const own = releasedAfter(steps, at)
  const earlier = releasedAfter(steps, at - 1)
  const belongsToNext = own.some(isGivenUp) && at + 1 < steps.length
  return [...(earlier.some(isGivenUp) ? earlier : []), ...(belongsToNext ? [] : own)].map((step) => [
    at - steps.indexOf(step),
    step.answer,
    at - (step.answeredAt ?? at),
  ])
}

function releasedAfter(steps: readonly ShownStep[], at: number): ShownStep[] {
  return steps.filter(({ waits, answeredAt }) => waits && answeredAt === at)
}

/** SQLSTATE deadlock_detected and lock_not_available. */
function isGivenUp({ answer }: ShownStep): boolean {
  return /\b(40P01|55P03)\b/.test(answer ?? '')
}

function choiceOf({ schedule, steps }: Execution, at: number): string {
  const before = schedule.deviations.filter((deviation) => deviation.at === at).flatMap((one) => eventOf(one, steps))
  const step = steps[at]
  return [...before, step ? actionOf(step) : ''].join(' ')
}

function eventOf(deviation: Deviation, steps: readonly Step[]): string[] {
  switch (deviation.kind) {
    case 'pause': {
      const sleeper = steps.find(({ n, fault }) => n >= deviation.at && fault === 'pause')
      return [`${sleeper?.actor ?? 'The program'} sleeps past its lease.`]
    }
    case 'time-out':
      return [`The lock wait of ${deviation.of} times out.`]
    case 'victim':
      return [`PostgreSQL ends the deadlock by an error for ${deviation.of}.`]
    default:
      return []
  }
}

function actionOf({ actor, fault, outcome }: Step): string {
  switch (fault) {
    case 'crash':
      return `${actor} dies ${outcome === 'lost' ? 'before' : 'after'} its message arrives`
    case 'lose-answer':
      return `Let ${actor} go on, and lose its answer`
    case 'flush':
      return `Redis forgets everything. Let ${actor} go on`
    default:
      return `Let ${actor} go on`
  }
}
