import { createHmac } from 'node:crypto'
import { createBookingOperations, expireHolds } from '@seatbelt/booking'
import { sql } from '@seatbelt/database'
import type { Actor, Execution, Scenario } from '@seatbelt/explore'
import { applyGatewayEvent, createPaymentOperations, createStripeEventReader, recoverPayment } from '@seatbelt/payments'
import type { Redis } from 'ioredis'
import type pg from 'pg'
import type { LayerName } from './explore-report.ts'
import type { CheckedId, Judge } from './judge.ts'
import { recordPreparedHold, requestPayment, requestSeats } from './record-request.ts'
import { apiKey, openReplica, type Replica } from './replica.ts'
import type { StatementRewriter } from './statement-rewriter.ts'
import { unexplained } from './unexplained.ts'
import { callOf, customerId, prepareEvent, prepareOrder, type World } from './world.ts'

/** The servers of an exploration, and the connections beside the actors'. */
export interface Surroundings {
  readonly admin: pg.Client
  readonly redis: Redis
  readonly judge: Judge
  readonly gatewayUrl: string
  readonly off: ReadonlySet<LayerName>
  /** Switches off the conditions that are a layer, and puts in a mutant. */
  readonly rewriter: StatementRewriter
}

export type ScenarioName = keyof typeof scenarios

/** Two or three requests that meet. Afterwards each client asks once more with its key. */
export const scenarios = {
  'same key twice': (parts: Surroundings) =>
    paymentScenario(parts, 'same key twice', { a: pay('key-1'), b: pay('key-1') }, { retry: pay('key-1') }),
  'two keys': (parts: Surroundings) =>
    paymentScenario(
      parts,
      'two keys',
      { a: pay('key-1'), b: pay('key-2') },
      { retryA: pay('key-1'), retryB: pay('key-2') },
    ),
  'two keys and the webhook': (parts: Surroundings) =>
    paymentScenario(
      parts,
      'two keys and the webhook',
      { a: pay('key-1'), b: pay('key-2'), webhook: deliverEvents(parts.gatewayUrl) },
      { retryA: pay('key-1'), retryB: pay('key-2') },
    ),
  'pay against cancel': (parts: Surroundings) =>
    paymentScenario(
      parts,
      'pay against cancel',
      { a: pay('key-1'), b: cancel('key-2') },
      { retryA: pay('key-1'), retryB: cancel('key-2') },
    ),
  'overlapping holds': (parts: Surroundings) =>
    seatScenario(
      parts,
      'overlapping holds',
      { a: hold('key-1', 'customer-1'), b: hold('key-2', 'customer-2') },
      { retryA: hold('key-1', 'customer-1'), retryB: hold('key-2', 'customer-2') },
    ),
  'checkout against expiry': (parts: Surroundings) =>
    seatScenario(
      parts,
      'checkout against expiry',
      { a: checkOut('key-1'), b: lapseAndExpire, c: hold('key-2', 'customer-2') },
      { retryA: checkOut('key-1'), retryC: hold('key-2', 'customer-2') },
    ),
  'lost commit against capture': (parts: Surroundings) =>
    paymentScenario(
      parts,
      'lost commit against capture',
      { a: authorize('key-1'), b: captureWhenAuthorized('key-2') },
      { retryA: authorize('key-1'), retryB: captureWhenAuthorized('key-2') },
    ),
  'lost commits': (parts: Surroundings) =>
    paymentScenario(
      parts,
      'lost commits',
      { a: pay('key-1'), b: loseCommits },
      { recoverLoss: afterLoss(parts), retryA: pay('key-1'), retryB: pay('key-2') },
    ),
} as const

const ofPayments: readonly CheckedId[] = ['I1', 'I2', 'I3', 'I6', 'I8', 'generation']

/** The invariants that must have something to look at, in one schedule of a workload at least. */
export const expectedChecks: Readonly<Record<ScenarioName, readonly CheckedId[]>> = {
  'same key twice': ofPayments,
  'two keys': ofPayments,
  'two keys and the webhook': ofPayments,
  'pay against cancel': ofPayments,
  'overlapping holds': ['I4', 'I5', 'I8'],
  'checkout against expiry': ['I1', 'I3', 'I4', 'I5', 'I6', 'I8', 'generation'],
  'lost commit against capture': ofPayments,
  'lost commits': ofPayments,
}

type Work = (replica: Replica, world: World) => Promise<string>
type Works = Readonly<Record<string, Work>>

function paymentScenario(parts: Surroundings, name: string, works: Works, retries: Works): Scenario<World> {
  return {
    ...common(parts, name, works, retries),
    prepare: (schedule) => parts.judge.begin().then(() => prepareOrder(parts.admin, schedule)),
  }
}

function seatScenario(parts: Surroundings, name: string, works: Works, retries: Works): Scenario<World> {
  const isHeld = name === 'checkout against expiry'
  return {
    ...common(parts, name, works, retries),
    prepare: async (schedule) => {
      await parts.judge.begin()
      const world = await prepareEvent(parts.admin, schedule, { isHeld })
      if (isHeld) recordPreparedHold(world, customerId)
      return world
    },
  }
}

function common(parts: Surroundings, name: string, works: Works, retries: Works) {
  const actorOf = ([actor, work]: [string, Work]) => replicaActor(parts, actor, work)
  return {
    name,
    actors: Object.entries(works).map(actorOf),
    recovery: replicaActor(parts, 'recovery', recover),
    afterwards: Object.entries(retries).map(actorOf),
    // The engine expires leases in each schedule with a fault, and in no other.
    expire: (world: World) => {
      world.isDisturbed = true
      return expireLeases(parts, world)
    },
    flush: async () => void (await parts.redis.flushdb()),
    judge: async (world: World, endings: Execution['endings']) => [
      ...(await parts.judge.judge(world)),
      ...unexplained(world, endings),
    ],
  }
}

function replicaActor({ off, rewriter }: Surroundings, name: string, work: Work): Actor<World> {
  return {
    name,
    reconnects: ['postgres', 'gateway'],
    open: async (urls, clock) => {
      let world: World | null = null
      const replica = await openReplica({
        ...{ name, urls, clock, off },
        reportFault: (fault) => void world?.faults.push({ actor: name, fault }),
      })
      const run = (of: World) => {
        world = of
        return work(replica, of)
      }
      return { run, close: replica.close }
    },
    rewrite: (sql) => rewriter.rewrite(sql),
  }
}

function pay(key: string, capture: 'automatic' | 'manual' = 'automatic'): Work {
  return async ({ payments }, world) => {
    const request = { orderId: world.orderId, paymentMethod: 'pm_card_visa', capture }
    return requestPayment(world, { operation: capture === 'manual' ? 'authorize' : 'pay', key }, () =>
      createPaymentOperations(payments).payOrder(callOf(world, key, request), request),
    )
  }
}

function authorize(key: string): Work {
  return pay(key, 'manual')
}

function cancel(key: string): Work {
  return async ({ payments }, world) => {
    const { orderId } = world
    return requestPayment(world, { operation: 'cancel', key }, () =>
      createPaymentOperations(payments).cancelOrder(callOf(world, key, { orderId }), orderId),
    )
  }
}

/** As a merchant that sees the payment in a list, in whatever state it is then. */
function captureWhenAuthorized(key: string): Work {
  return async ({ payments }, world) => {
    const [payment] = await payments.database.query<{ id: string }>({
      text: 'SELECT id FROM payments WHERE account_id = $1',
      values: [world.accountId],
    })
    if (!payment) return 'nothing to capture'
    const call = callOf(world, key, { capture: payment.id })
    return requestPayment(world, { operation: 'capture', key }, () =>
      createPaymentOperations(payments).capturePayment(call, payment.id),
    )
  }
}

/**
 * A restore, or the promotion of a standby that was behind: nothing of what was committed for this account is there. A
 * transaction that is under way waits for it or is waited for, by the locks of the rows.
 */
const loseCommits: Work = async ({ payments }, { accountId, orderId }) => {
  await payments.database.transaction(async (tx) => {
    // Triggers and foreign keys stay quiet: no transaction writes this, it is what a server has after a loss.
    tx.write(sql`SELECT set_config('session_replication_role', 'replica', true)`)
    tx.write(sql`UPDATE orders SET state = 'pending', version = 0 WHERE id = ${orderId}::uuid`)
    for (const table of written) tx.write(sql`DELETE FROM ${table} WHERE account_id = ${accountId}::uuid`)
  })
  return 'lost'
}

/** The tables that a payment writes. */
const written = [sql`idempotency_keys`, sql`payments`, sql`payment_events`, sql`transfers`, sql`outbox`, sql`orphans`]

/** Leases end, and the worker finishes what it finds. Answers from before the loss are of rows that are gone. */
function afterLoss(parts: Surroundings): Work {
  return async (replica, world) => {
    world.attempts.length = 0
    await expireLeases(parts, world)
    return recover(replica, world)
  }
}

/** The gateway delivers what has happened until then. It signs as Stripe does. */
function deliverEvents(gatewayUrl: string): Work {
  const secret = 'whsec_explore'
  const read = createStripeEventReader({ secrets: [secret] })
  return async ({ payments }, { accountId }) => {
    // A step of its own, so that the scheduler chooses when it begins. The gateway's own reads are none.
    await payments.runtime.pause(0)
    const answer = await fetch(`${gatewayUrl}/v1/events?limit=100`, { headers: { authorization: `Bearer ${apiKey}` } })
    const { data } = (await answer.json()) as { data: { data: { object: { metadata: { accountId?: string } } } }[] }
    const results: string[] = []
    for (const event of data.filter(({ data: { object } }) => object.metadata.accountId === accountId).reverse()) {
      const body = JSON.stringify(event)
      const seconds = Math.floor(Date.now() / 1_000)
      const signature = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
      const delivered = read(Buffer.from(body), `t=${seconds},v1=${signature}`)
      if (delivered.kind === 'refused') throw new Error(`the event was refused: ${delivered.reason}`)
      results.push(await applyGatewayEvent(payments, delivered.event))
    }
    return `events ${results.join(', ')}`
  }
}

function hold(key: string, customer: string): Work {
  return async ({ booking }, world) => {
    const seatIds = seatsOf(world, customer)
    const request = { eventId: world.eventId, customerId: customer, of: { kind: 'seats', seatIds } } as const
    return requestSeats(world, { operation: 'hold', key, customerId: customer, seatIds, holdId: null }, () =>
      createBookingOperations(booking).holdSeats(callOf(world, key, request), request),
    )
  }
}

/** The holds overlap in one seat, and name them in opposite orders. */
function seatsOf({ seatIds }: World, customer: string): string[] {
  return customer === customerId ? [...seatIds] : seatIds.toReversed()
}

function checkOut(key: string): Work {
  return async ({ booking }, world) => {
    const request = { holdId: world.holdId, customerId, paymentMethod: 'pm_card_visa', receiptEmail: null }
    const [seatIds, holdId] = [[...world.seatIds], world.holdId]
    return requestSeats(world, { operation: 'checkout', key, customerId, seatIds, holdId }, () =>
      createBookingOperations(booking).checkOut(callOf(world, key, request), request),
    )
  }
}

/** Time passes, and then the sweep runs. */
const lapseAndExpire: Work = async ({ booking, payments }, { holdId }) => {
  await payments.database.query({
    text: `WITH lapsed AS (
             UPDATE holds SET expires_at = now() - interval '1 second' WHERE id = $1 AND state = 'active' RETURNING id)
           UPDATE seat_claims SET expires_at = now() - interval '1 second' FROM lapsed WHERE hold_id = lapsed.id`,
    values: [holdId],
  })
  return `expired ${await expireHolds(booking, 1)}`
}

/** As the worker does, until nothing of this schedule is open. */
const recover: Work = async ({ payments }, { accountId }) => {
  for (let round = 0; round < mostRounds; round += 1) {
    const open = await payments.database.query<{ id: string }>({
      text: `SELECT id FROM payments WHERE account_id = $1 AND state IN ('processing', 'capturing', 'voiding')`,
      values: [accountId],
    })
    const [payment] = open
    if (!payment || (await recoverPayment(payments, payment.id)) === null) break
  }
  return 'recovered'
}

/** More than any payment needs. */
const mostRounds = 4

/** Ends leases as time would. A row that a transaction has locked cannot be taken over, so it keeps its lease. */
async function expireLeases({ admin, redis }: Surroundings, { accountId }: World): Promise<void> {
  await admin.query({
    name: 'expire-leases',
    text: `WITH open AS (
             SELECT id FROM payments WHERE account_id = $1 AND state IN ('processing', 'capturing', 'voiding')
                FOR UPDATE SKIP LOCKED)
           UPDATE payments SET leased_until = least(leased_until, now() - interval '1 second'),
                  next_attempt_at = now() - interval '1 second'
             FROM open WHERE payments.id = open.id`,
    values: [accountId],
  })
  await redis.flushdb()
}
