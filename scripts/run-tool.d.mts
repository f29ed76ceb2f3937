export interface ToolOptions {
  readonly folder: string
  /** A file that takes the output; null: the terminal. */
  readonly log: string | null
  /** Added to this process's own environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly signal?: AbortSignal | undefined
  /** Told the process number at once, for the run's records. */
  readonly onStart?: ((pid: number) => void) | undefined
  /** Default: true, as `spawnGroup` explains. */
  readonly bindToParent?: boolean
  readonly uid?: number
  readonly gid?: number
}

export interface ToolEnd {
  /** Null: it did not start, or a signal ended it. */
  readonly exitCode: number | null
  /** `exit code N`, `killed by SIGNAL`, or why it did not start. */
  readonly outcome: string
}

export function runTool(program: string, args: readonly string[], options: ToolOptions): Promise<ToolEnd>
export function withProgress<T>(say: (text: string) => void, what: string, work: () => Promise<T>): Promise<T>
export function lastLines(path: string, count?: number): string
