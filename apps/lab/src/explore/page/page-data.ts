import type { Execution } from '@seatbelt/explore'
import type { Game } from '../explore-report.ts'
import { alignSteps } from './align-steps.ts'
import { wordsOf } from './page-figures.ts'
import { Dictionary, lifelinesOf, type ShownStep, showSteps, type Text } from './shown-steps.ts'

/** The input of the page's scripts. */
export class PageData {
  readonly #texts = new Dictionary<Text>()
  readonly #executions: object[] = []
  readonly #games: object[] = []

  /** Returns the number by which the page refers to it. */
  addExecution(execution: Execution): number {
    const steps = showSteps(execution, this.#texts)
    return this.#add(execution, { ...lifelinesOf(execution.actors, steps), steps, partsAt: null })
  }

  /** For two diagrams beside each other. */
  addPair(ours: Execution, theirs: Execution): [number, number] {
    // Not by the whole text: some layers are a condition in a statement.
    const keyOf = ({ actor, server, text }: ShownStep) => `${actor} ${server} ${this.#texts.values[text]?.[0]}`
    const [left, right] = [showSteps(ours, this.#texts), showSteps(theirs, this.#texts)]
    const { sides, partsAt } = alignSteps(left, right, keyOf)
    // Equal lifelines too, so that both are drawn in one scale.
    const common = { ...lifelinesOf(new Set([...ours.actors, ...theirs.actors]), sides.flat()), partsAt }
    return [this.#add(ours, { ...common, steps: sides[0] }), this.#add(theirs, { ...common, steps: sides[1] })]
  }

  /** Each run refers to its steps by number. */
  addGame({ workload, off, executions }: Game): void {
    const shown = new Dictionary<ShownStep>()
    const runs = executions.map((execution) => {
      const { endings, violations } = execution
      return { endings, violations, steps: showSteps(execution, this.#texts).map((step) => shown.add(step)) }
    })
    const lifelines = lifelinesOf(new Set(executions.flatMap(({ actors }) => actors)), shown.values)
    this.#games.push({ workload, off, about: wordsOf(workload), ...lifelines, steps: shown.values, runs })
  }

  /** For a script element: nothing in it can end the element. */
  toJson(): string {
    const data = { texts: this.#texts.values, executions: this.#executions, games: this.#games }
    return JSON.stringify(data).replaceAll('<', '\\u003c')
  }

  #add({ endings, violations }: Execution, drawn: object): number {
    return this.#executions.push({ ...drawn, endings, violations }) - 1
  }
}
