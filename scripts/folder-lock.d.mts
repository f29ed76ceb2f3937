export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  readonly onWait?: () => void
}

export function withFolderLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T>
