import { createHash } from 'node:crypto'
import { bulkhead, isBulkheadRejectedError } from 'cockatiel'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { createTokenBuckets, type TokenBuckets } from './token-buckets.ts'

export interface AuthenticationOptions {
  /** Asks the database, by the SHA-256 of the key (32 bytes). Null for a key that is unknown or revoked. May throw. */
  readonly findAccountByKeyHash: (hash: Uint8Array) => Promise<{ readonly accountId: string } | null>
  /** Development keys are published in this repository: `acceptsDevelopmentKeys` says where they work. */
  readonly developmentKeys: 'accepted' | 'refused'
  /** Guesses a second and network; a key that was good before does not count. */
  readonly strangers: TokenBuckets
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export type Authenticated =
  | { readonly kind: 'account'; readonly accountId: string }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'too-many'; readonly retryAfterSeconds: number }

export type Authenticate = (authorization: string | undefined, address: string) => Promise<Authenticated>

/** A revoked key works for at most this long. It spares the database a look-up per request. */
const knownKeyFreshMs = 5_000
/** Long enough to absorb a client that tries in a loop; short, because a key may be made just after it was tried. */
const unknownKeyFreshMs = 1_000
/** One entry is about 200 bytes. Guesses have a cache of their own, so that they cannot drive good keys out. */
const maxKnownKeys = 10_000
const maxUnknownKeys = 1_000

/** Look-ups of keys that are not known here, so that guesses leave most of the pool's connections to others. */
const lookUps = { atOnce: 4, waiting: 100 }
/**
 * Look-ups a second for all networks that have guessed too often. A good key behind a shared address is found with
 * them, at a replica that has just started.
 */
const lookUpsBeyond = 10

const developmentKeyPrefix = 'sb_dev_only_'

/** RFC 6750. The bound keeps a header full of rubbish from being hashed. */
const bearer = /^Bearer +([A-Za-z0-9._~+/-]{1,200}=*)$/i

/**
 * Finds the account of a bearer key. The key is hashed at once and never kept, logged or compared.
 *
 * No comparison in constant time is needed: what is looked up is the key's SHA-256. Whoever measured how far a look-up
 * got would learn a prefix of a hash that he computed himself, and can choose no key whose hash starts with it. Keys are
 * random, so that a slow password hash would protect nothing either.
 *
 * One look-up at a time for a key, however many requests carry it. A fault of the look-up is thrown to all of them and
 * is not cached.
 */
export function createAuthenticate(options: AuthenticationOptions): Authenticate {
  const now = options.now ?? (() => performance.now())
  const known = new LRUCache<string, KnownKey>({ max: maxKnownKeys })
  const unknown = new LRUCache<string, Freshness>({ max: maxUnknownKeys })
  const isFresh = (entry: Freshness | undefined) => entry !== undefined && now() < entry.freshUntilMs
  const ask = createQuestion({ ...options, now, known, unknown })
  const lookUp = createSingleFlight()
  const beyond = createTokenBuckets({ perSecond: lookUpsBeyond, burst: lookUpsBeyond, now })
  const places = bulkhead(lookUps.atOnce, lookUps.waiting)

  return async (authorization, address) => {
    const key = bearer.exec(authorization ?? '')?.[1]
    const usable =
      key !== undefined && (options.developmentKeys === 'accepted' || !key.startsWith(developmentKeyPrefix))
    if (!usable) return stranger(options.strangers, address)

    const hash = createHash('sha256').update(key).digest()
    const name = hash.toString('base64')
    const remembered = known.get(name)
    if (remembered && isFresh(remembered)) return { kind: 'account', accountId: remembered.accountId }
    // A key that was good is looked up again without counting: others' guesses from its address cannot lock it out.
    if (remembered) return found(await lookUp(name, () => ask(name, hash)), { kind: 'stranger' })
    const counted = stranger(options.strangers, address)
    if (isFresh(unknown.get(name))) return counted
    if (counted.kind === 'too-many' && !beyond.take('all').allowed) return counted
    try {
      return found(await lookUp(name, () => places.execute(() => ask(name, hash))), counted)
    } catch (fault) {
      if (isBulkheadRejectedError(fault)) return { kind: 'too-many', retryAfterSeconds: 1 }
      throw fault
    }
  }
}

type NoAccount = Exclude<Authenticated, { kind: 'account' }>

function found(accountId: string | null, otherwise: NoAccount): Authenticated {
  return accountId === null ? otherwise : { kind: 'account', accountId }
}

function stranger(strangers: TokenBuckets, address: string): NoAccount {
  const taken = strangers.take(networkOf(address))
  return taken.allowed ? { kind: 'stranger' } : { kind: 'too-many', retryAfterSeconds: taken.retryAfterSeconds }
}

/** Of IPv6 the /56, which is what a provider gives to one household: it has 2^72 addresses. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return parsed.toString()
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/56`).toString()
}

interface Freshness {
  readonly freshUntilMs: number
}

/** Kept when it is no longer fresh: the next look-up of this key is not counted as a guess. */
interface KnownKey extends Freshness {
  readonly accountId: string
}

interface Question {
  readonly findAccountByKeyHash: AuthenticationOptions['findAccountByKeyHash']
  readonly now: () => number
  readonly known: LRUCache<string, KnownKey>
  readonly unknown: LRUCache<string, Freshness>
}

type Ask = (name: string, hash: Uint8Array) => Promise<string | null>

function createQuestion({ findAccountByKeyHash, now, known, unknown }: Question): Ask {
  return async (name, hash) => {
    // Counted from before the question: a key revoked while it is under way is refused in time as well.
    const askedAtMs = now()
    const account = await findAccountByKeyHash(hash)
    if (account === null) {
      known.delete(name)
      unknown.set(name, { freshUntilMs: askedAtMs + unknownKeyFreshMs })
      return null
    }
    known.set(name, { accountId: account.accountId, freshUntilMs: askedAtMs + knownKeyFreshMs })
    return account.accountId
  }
}

/** One question at a time for a name: who comes meanwhile has the same answer. */
function createSingleFlight() {
  const running = new Map<string, Promise<string | null>>()
  return (name: string, ask: () => Promise<string | null>): Promise<string | null> => {
    const asked = running.get(name) ?? ask().finally(() => running.delete(name))
    running.set(name, asked)
    return asked
  }
}
