/** What finding, downloading or building a program needs to know about the machine and the run. */
export interface Surroundings {
  /** The folder for this user's downloaded and built programs. */
  readonly cache: string
  readonly environment: NodeJS.ProcessEnv
  /** Where the output of tools goes. */
  readonly logs: string
  readonly say: (text: string) => void
  readonly signal?: AbortSignal | undefined
}
