export interface SetUpOptions {
  readonly root: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

export function setUp(options: SetUpOptions): Promise<void>
