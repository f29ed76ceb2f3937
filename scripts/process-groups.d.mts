import type { ChildProcess, SpawnOptions } from 'node:child_process'

export interface GroupOptions extends SpawnOptions {
  /** Ends with this process, also when that is killed (Linux with `setpriv`). Default: true. */
  readonly bindToParent?: boolean
  /** What the child gets when this process dies, without `SIG`. Default: KILL. */
  readonly deathSignal?: string
}

export interface EndOptions {
  readonly signal?: NodeJS.Signals
  readonly graceMs?: number
  readonly identity?: string | null
}

export function spawnGroup(command: string, args: readonly string[], options?: GroupOptions): ChildProcess
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean
export function endGroup(pid: number, options?: EndOptions): Promise<void>
export function endAllGroups(): Promise<void>
export function isGone(pid: number, identity: string | null, withinMs: number): Promise<boolean>
export function identify(pid: number): string | null
