import { Redlock as SesamecareRedlock } from '@sesamecare-oss/redlock'
import type { Redis } from 'ioredis'
import NpmRedlock from 'redlock'

/** The part of both packages that is measured. */
export interface PackageRedlock {
  acquire(resources: string[], durationMs: number): Promise<PackageLease>
}

export interface PackageLease {
  /** One for each time it asked all nodes. */
  readonly attempts: readonly unknown[]
  /** When the lease is over, in milliseconds since 1970. */
  readonly expiration: number
  release(): Promise<unknown>
}

export interface PackageSettings {
  readonly retryCount: number
  readonly retryDelay: number
  readonly retryJitter: number
}

type PackageConstructor = new (clients: readonly Redis[], settings: PackageSettings) => PackageRedlock

// Neither has types that fit: what packages/locks declares of `redlock` is only what it uses itself, and
// `@sesamecare-oss/redlock` is written for another ioredis.
const constructors = {
  redlock: NpmRedlock as unknown as PackageConstructor,
  'sesamecare-redlock': SesamecareRedlock as unknown as PackageConstructor,
}

export type PackageName = keyof typeof constructors

export function createPackageRedlock(
  name: PackageName,
  clients: readonly Redis[],
  settings: PackageSettings,
): PackageRedlock {
  return new constructors[name](clients, settings)
}
