/**
 * The part of `redlock` 5.0.0-beta.2 that this package uses. It ships types, but its `exports` do not name them, so the
 * compiler does not find them; and they ask for a whole ioredis client where two methods are called.
 */
declare module 'redlock' {
  export interface Client {
    evalsha(sha: string, keys: number, args: string[]): Promise<unknown>
    eval(script: string, keys: number, args: string[]): Promise<unknown>
  }

  export interface Settings {
    readonly driftFactor: number
    readonly retryCount: number
  }

  export interface Scripts {
    readonly acquireScript: (original: string) => string
    readonly extendScript: (original: string) => string
    readonly releaseScript: (original: string) => string
  }

  export class Lock {
    constructor(redlock: Redlock, resources: string[], value: string, attempts: [], expiration: number)
    readonly value: string
  }

  export default class Redlock {
    constructor(clients: Iterable<Client>, settings: Settings, scripts: Scripts)
    acquire(resources: string[], durationMs: number): Promise<Lock>
    extend(lock: Lock, durationMs: number): Promise<Lock>
    release(lock: Lock): Promise<unknown>
  }
}
