/** A text that is replaced in statements as they are sent, in the place of a hook in the code. */
export interface StatementChange {
  /** Matches once in each of `statements`, and in no other statement. */
  readonly text: RegExp
  readonly by: string
  /** The statements that have the text, each by a part of its own. Runs of white space are one space. */
  readonly statements: readonly string[]
}

/** Replaces texts in statements, and notices a text that no longer is where it must be. */
export class StatementRewriter {
  readonly #changes: ReadonlyMap<string, StatementChange>
  readonly #rewritten = new Map<string, string>()
  /** By the change's name, the statements of it that were sent. */
  readonly #seen = new Map<string, Set<string>>()
  readonly #faults = new Set<string>()

  /** The changes by their names: of a layer, or of a mutant. */
  constructor(changes: Readonly<Record<string, StatementChange>>) {
    this.#changes = new Map(Object.entries(changes))
    for (const name of this.#changes.keys()) this.#seen.set(name, new Set())
  }

  rewrite(sql: string): string {
    const known = this.#rewritten.get(sql)
    if (known !== undefined) return known
    let changed = sql
    for (const [name, change] of this.#changes) changed = this.#replace(changed, name, change)
    this.#rewritten.set(sql, changed)
    return changed
  }

  #replace(sql: string, name: string, { text, by, statements }: StatementChange): string {
    const count = [...sql.matchAll(new RegExp(text, `${text.flags}g`))].length
    const plain = sql.replace(/\s+/g, ' ')
    const meant = statements.filter((part) => plain.includes(part))
    if (count === 0 && meant.length === 0) return sql
    if (count !== 1 || meant.length !== 1)
      this.#faults.add(`"${name}" has its text ${count} times, and ${meant.length} names, in: ${plain}`)
    for (const part of meant) this.#seen.get(name)?.add(part)
    return sql.replace(text, by)
  }

  /** Texts that do not occur once where they must: the change is not the one that its name promises. */
  get faults(): readonly string[] {
    return [...this.#faults]
  }

  /** Changes of which no statement was sent. */
  get unused(): string[] {
    return [...this.#changes.keys()].filter((name) => this.#seen.get(name)?.size === 0)
  }

  /** The statements of the tables that were never sent. */
  get unsent(): string[] {
    return [...this.#changes].flatMap(([name, { statements }]) =>
      statements.filter((part) => !this.#seen.get(name)?.has(part)).map((part) => `${name}: ${part}`),
    )
  }
}
