export interface Run {
  readonly id: string
  readonly folder: string
  readonly logs: string
}

export interface ProcessToRecord {
  readonly pid: number
  /** What asks it to end. Default: SIGTERM. */
  readonly signal?: NodeJS.Signals
}

export function openRun(stateFolder: string, purpose: string): Run
export function recordProcess(run: Run, name: string, process: ProcessToRecord): void
export function forgetProcess(run: Run, name: string): void
export function recordFolder(run: Run, path: string): void
export function closeRun(run: Run): void
export function reapAbandonedRuns(stateFolder: string): Promise<string[]>
export function reapAllRuns(stateFolder: string): Promise<string[]>
