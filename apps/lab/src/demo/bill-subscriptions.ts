import { setTimeout as sleep } from 'node:timers/promises'
import type { StackAddresses } from '../stack/current-stack.ts'
import { developmentApiKey, gateway } from '../stack/description.ts'
import type { Stack } from '../stack/start-stack.ts'
import { type Kill, killInTheMiddle } from './kill-replica.ts'
import type { BooksWatch } from './watch-books.ts'

export interface BillingPhase {
  readonly target: StackAddresses
  /** Begins each idempotency key. */
  readonly run: string
  readonly subscriptions: number
  /** How often the servers bill. All subscriptions fall due at one full interval. */
  readonly intervalSeconds: number
  /** Have the customers receipts? */
  readonly receipts: boolean
  /** The leader is killed half way; null: nobody leads. */
  readonly leader: LeaderToKill | null
  readonly signal: AbortSignal
}

export interface LeaderToKill {
  readonly stack: Pick<Stack, 'kill' | 'startAgain' | 'pid'>
  readonly watch: Pick<BooksWatch, 'billingLeader' | 'countPaid' | 'countPaymentsOf'>
  /** Told once the process is gone, before anybody goes on with what it had in its hands. */
  readonly onKilled: () => Promise<void>
}

export interface Billing {
  readonly subscriptions: number
  /** Null where nobody led, or nobody could be caught at it. */
  readonly leaderKill: Kill | null
}

/** For making sixty customers, cards and subscriptions on a machine that is under load. */
const leadTimeSeconds = 4
/** A killed leader's lock is free after 5 s, and what it had claimed after its lease (16 s in the demo). */
const longestWaitMs = 60_000
const requestTimeoutMs = 10_000
/** A customer, a card and a subscription each, for so many at once. */
const atOnce = 8
/** A replica may just have been killed. */
const requestTries = 20
const pauseBetweenTriesMs = 500
const pauseBetweenLooksMs = 20
/** How often the API is asked whether all are paid. */
const pauseBetweenPollsMs = 500
/** When so many of them are paid, the leader is in the middle of it. */
const killAtShare = 0.25

/**
 * Subscriptions that all fall due at the same full interval, at which every server wakes up; and where one of them leads, it is
 * killed half way. Resolves when all periods are paid, or after a minute.
 */
export async function billSubscriptions(phase: BillingPhase): Promise<Billing> {
  const { subscriptions, leader } = phase
  const dueAt = nextInterval(phase)
  const ids = await inParallel(subscriptions, (number) => subscribe(phase, number, dueAt))
  const giveUp = AbortSignal.any([phase.signal, AbortSignal.timeout(longestWaitMs)])
  const leaderKill = leader === null ? null : await killHalfWay(leader, ids, giveUp)
  await waitUntilPaid(phase, ids, giveUp)
  phase.signal.throwIfAborted()
  return { subscriptions, leaderKill }
}

function nextInterval({ intervalSeconds }: BillingPhase): Date {
  const intervalMs = intervalSeconds * 1_000
  return new Date(Math.ceil((Date.now() + leadTimeSeconds * 1_000) / intervalMs) * intervalMs)
}

/** The merchant's backend makes customer and subscription at the shop; its page attaches the card at the gateway. */
async function subscribe(phase: BillingPhase, number: number, dueAt: Date): Promise<string> {
  const customer = await create(phase, number, 'gateway-customers', { customerId: `subscriber-${number}` })
  const paymentMethod = await askGateway(phase, 'payment_methods/pm_card_visa/attach', { customer })
  const body = {
    ...{ customerId: `subscriber-${number}`, gatewayCustomerId: customer, paymentMethod },
    ...{ amountMinor: 900 + number, currency: 'EUR', interval: { unit: 'month', count: 1 }, timeZone: 'UTC' },
    anchor: dueAt.toISOString().slice(0, 19),
    ...(phase.receipts && { receiptEmail: `subscriber-${number}@example.com` }),
  }
  return create(phase, number, 'subscriptions', body)
}

/** Returns the id of what was made. The same key at each replica. */
async function create(phase: BillingPhase, number: number, what: string, body: object): Promise<string> {
  for (let tried = 1; ; tried += 1) {
    const replica = phase.target.replicas[(number + tried) % phase.target.replicas.length]
    const created = await ask(phase, `${replica}/v1/${what}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `${phase.run}-${what}-${number}` },
      body: JSON.stringify(body),
    })
    if (typeof created?.id === 'string') return created.id
    if (tried === requestTries) throw new Error(`${what} ${number} could not be created`)
    await sleep(pauseBetweenTriesMs, undefined, { signal: phase.signal })
  }
}

async function askGateway({ target, signal }: BillingPhase, path: string, parameters: Record<string, string>) {
  const response = await fetch(`${target.gatewayUrl}/v1/${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${gateway.environment.GATEWAY_API_KEY}` },
    body: new URLSearchParams(parameters),
    signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
  })
  const { id } = (await response.json()) as { readonly id?: string }
  if (id === undefined) throw new Error(`the gateway answered ${response.status} to ${path}`)
  return id
}

interface SubscriptionAnswer {
  readonly id?: string
  readonly invoices?: readonly { readonly state: string }[]
}

/** Null: not now. @throws when the signal fires. */
async function ask({ signal }: BillingPhase, url: string, request: RequestInit): Promise<SubscriptionAnswer | null> {
  try {
    const response = await fetch(url, {
      ...request,
      headers: { ...request.headers, Authorization: `Bearer ${developmentApiKey}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    })
    return response.ok ? ((await response.json()) as SubscriptionAnswer) : null
  } catch {
    signal.throwIfAborted()
    return null
  }
}

async function killHalfWay(
  { stack, watch, onKilled }: LeaderToKill,
  ids: readonly string[],
  giveUp: AbortSignal,
): Promise<Kill | null> {
  while (!giveUp.aborted) {
    const paid = await watch.countPaid(ids)
    if (paid === ids.length) return null
    const instance = paid >= ids.length * killAtShare ? await watch.billingLeader() : null
    if (instance !== null) {
      const { countPaymentsOf } = watch
      return killInTheMiddle({ stack, instance, countPaymentsOf, onKilled, signal: giveUp })
    }
    await sleep(pauseBetweenLooksMs, undefined, { signal: giveUp }).catch(() => undefined)
  }
  return null
}

async function waitUntilPaid(phase: BillingPhase, ids: readonly string[], giveUp: AbortSignal): Promise<void> {
  let open = ids
  for (let round = 0; open.length > 0 && !giveUp.aborted; round += 1) {
    const replica = phase.target.replicas[round % phase.target.replicas.length]
    const paid = await inParallel(open.length, async (index) => {
      const seen = await ask(phase, `${replica}/v1/subscriptions/${open[index]}`, {})
      return seen?.invoices?.some(({ state }) => state === 'paid') === true
    })
    open = open.filter((_, index) => paid[index] !== true)
    if (open.length > 0) await sleep(pauseBetweenPollsMs, undefined, { signal: giveUp }).catch(() => undefined)
  }
}

async function inParallel<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  const indexes = Array.from({ length: count }, (_, index) => index).values()
  const lane = async () => {
    for (const index of indexes) results[index] = await work(index)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return results
}
