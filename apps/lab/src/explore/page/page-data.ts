import type { Execution } from '@seatbelt/explore'
import type { Game } from '../explore-report.ts'
import { buildGame, type ShownGame } from './game-tree.ts'
import { Dictionary, lifelinesOf, type ShownStep, showSteps, type Text } from './shown-steps.ts'

interface ShownExecution extends Pick<Execution, 'actors' | 'endings' | 'violations'> {
  readonly servers: readonly string[]
  readonly steps: readonly ShownStep[]
}

/** The input of the page's scripts. */
export class PageData {
  readonly #texts = new Dictionary<Text>()
  readonly #executions: ShownExecution[] = []
  readonly #games: ShownGame[] = []

  /** Returns the number by which the page refers to it. */
  addExecution({ actors, steps, endings, violations }: Execution): number {
    const shown = { ...lifelinesOf(actors, steps), steps: showSteps(steps, this.#texts), endings, violations }
    return this.#executions.push(shown) - 1
  }

  addGame(game: Game): void {
    this.#games.push(buildGame(game, this.#texts))
  }

  /** For a script element: nothing in it can end the element. */
  toJson(): string {
    const data = { texts: this.#texts.values, executions: this.#executions, games: this.#games }
    return JSON.stringify(data).replaceAll('<', '\\u003c')
  }
}
