/**
 * The part of `redlock` 5.0.0-beta.2 that this package uses. It ships types, but its `exports` do not name them, so the
 * compiler does not find them; and they ask for a whole ioredis client where two methods are called. What a resource is
 * does not matter to it: it hands the list on to the clients as it was given.
 */
declare module 'redlock' {
  export interface Client<Resource> {
    evalsha(sha: string, keys: number, args: [resource: Resource, token: string]): Promise<unknown>
    eval(script: string, keys: number, args: [resource: Resource, token: string]): Promise<unknown>
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

  export class Lock<Resource> {
    constructor(redlock: Redlock<Resource>, resources: [Resource], value: string, attempts: [], expiration: number)
  }

  export default class Redlock<Resource> {
    constructor(clients: Iterable<Client<Resource>>, settings: Settings, scripts: Scripts)
    acquire(resources: [Resource], durationMs: number): Promise<unknown>
    extend(lock: Lock<Resource>, durationMs: number): Promise<unknown>
    release(lock: Lock<Resource>): Promise<unknown>
  }
}
