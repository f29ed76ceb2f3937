import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { eventually, type RedisServer, startRedisServer } from '@seatbelt/testing'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type BillingShop, openBillingShop } from '../../../packages/payments/test/billing-shop.ts'
import { letLeasesRunOut, openShop, type Replica, type Shop } from '../../../packages/payments/test/shop.ts'

/** Real workers, which wake at the same full seconds. Their billing interval is a second instead of an hour. */
const intervalSeconds = 1
/** So many charges are at the gateway when the leader is stopped, and two have not begun yet. */
const lanes = 4
const subscriptions = lanes + 2
/** Longer than a busy machine takes to stop the leader, and less than the leader's deadline for a request. */
const heldBack = { on: 'confirm', kind: 'delay', delayMs: 6_000, rate: 1 }

let shop: Shop
let billing: BillingShop
let client: Replica
let redis: RedisServer
let workers: Worker[] = []

interface Worker {
  readonly name: string
  readonly process: ChildProcess
  readonly log: string[]
}

beforeAll(async () => {
  shop = await openShop()
  billing = openBillingShop(shop)
  client = await shop.replica('client')
  redis = await startRedisServer()
  workers = await Promise.all(['worker-1', 'worker-2', 'worker-3'].map(startWorker))
}, 120_000)
afterEach(() => shop.faults())
afterAll(async () => {
  await Promise.all(workers.map(({ process }) => stop(process)))
  await redis?.close()
  await shop?.close()
})

it('three workers wake at the same moment: each due period is charged once', async () => {
  const ids = await subscribe()
  await allArePaid(ids)
  await eachIsChargedOnce(ids)
}, 60_000)

it('without Redis no worker leads, which is logged; when Redis is back, everything is billed', async () => {
  await redis.kill()
  const ids = await subscribe()
  await eventually(
    'a worker logs that no leader can be elected',
    () => workers.some(({ log }) => log.some((line) => line.includes('no leader can be elected'))),
    { boundMs: 20_000 },
  )
  expect(await shop.sql('SELECT 1 FROM invoices WHERE subscription_id = ANY ($1)', [ids])).toEqual([])
  await redis.restart()
  await allArePaid(ids)
  await eachIsChargedOnce(ids)
}, 60_000)

it('the leader is killed while it charges: another worker continues, and each due period is charged once', async () => {
  await shop.faults(heldBack)
  const ids = await subscribe()
  const leader = await leaderAtTheGateway()
  const gone = once(leader.process, 'exit')
  leader.process.kill('SIGKILL')
  await gone
  workers = workers.filter((worker) => worker !== leader)
  await shop.faults()
  // As time would: its charges at the gateway belong to recovery.
  await letLeasesRunOut(shop)
  await allArePaid(ids)
  await eachIsChargedOnce(ids)
}, 90_000)

it('the leader is paused while it charges, until another has led: each due period is charged once', async () => {
  await shop.faults(heldBack)
  const ids = await subscribe()
  const leader = await leaderAtTheGateway()
  leader.process.kill('SIGSTOP')
  await shop.faults()
  await letLeasesRunOut(shop)
  const [fence] = await shop.sql<{ token: string }>('SELECT token FROM lock_fences')
  await eventually(
    'another worker has led a whole run under a newer fence',
    async () => {
      const runs = await shop.sql('SELECT 1 FROM billing_runs WHERE fence > $1 AND finished_at IS NOT NULL', [
        fence?.token,
      ])
      return runs.length > 0
    },
    { boundMs: 30_000 },
  )
  leader.process.kill('SIGCONT')
  await allArePaid(ids)
  await eachIsChargedOnce(ids)
}, 90_000)

/** All of them fall due in one moment, so that one run finds them. */
async function subscribe(): Promise<readonly string[]> {
  const ids: string[] = []
  for (let made = 0; made < subscriptions; made++)
    ids.push(await billing.subscribe(client, { timeZone: 'UTC', anchor: '2099-01-01T00:00:00' }))
  await shop.sql(
    `UPDATE subscriptions SET anchor = date_trunc('second', now() AT TIME ZONE 'UTC'), next_due_at = date_trunc('second', now())
      WHERE id = ANY ($1)`,
    [ids],
  )
  return ids
}

/** The leader, when each of its lanes waits for the gateway, so that it has no transaction open. */
async function leaderAtTheGateway(): Promise<Worker> {
  const by = await eventually(
    'all lanes are at the gateway',
    async () => {
      const rows = await shop.sql<{ by: string }>(
        `SELECT by FROM payment_events e JOIN payments p ON p.id = e.payment_id
          WHERE p.state = 'processing' AND p.gateway_intent_id IS NOT NULL AND event = 'claimed'
          GROUP BY by HAVING count(*) = ${lanes}`,
      )
      return rows[0]?.by
    },
    { boundMs: 20_000 },
  )
  const leader = workers.find(({ name }) => name === by)
  if (!leader) throw new Error(`no worker is called ${by}`)
  return leader
}

async function allArePaid(ids: readonly string[]): Promise<void> {
  await eventually(
    'all are paid',
    async () => {
      const invoices = await shop.sql<{ state: string }>(
        'SELECT state FROM invoices WHERE subscription_id = ANY ($1)',
        [ids],
      )
      return invoices.length === ids.length && invoices.every(({ state }) => state === 'paid')
    },
    { boundMs: 40_000 },
  )
}

async function eachIsChargedOnce(ids: readonly string[]): Promise<void> {
  for (const id of ids) expect(await billing.chargesOf(id)).toEqual([1])
}

async function startWorker(name: string): Promise<Worker> {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      INSTANCE: name,
      PORT: '0',
      LOG_LEVEL: 'info',
      DATABASE_URL: shop.databaseUrl,
      REDIS_URLS: redis.url,
      GATEWAY_URL: shop.gatewayUrl,
      GATEWAY_API_KEY: 'sk_test_dev_only',
      BILLING_INTERVAL_SECONDS: String(intervalSeconds),
      BILLING_LANES: String(lanes),
      RECOVERY_IDLE_MS: '200',
    },
  })
  const log: string[] = []
  const lines = createInterface({ input: child.stdout })
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      log.push(line)
      if (line.includes('"listening"')) resolve()
    })
    child.once('exit', () => reject(new Error(`${name} ended before it listened`)))
  })
  return { name, process: child, log }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGCONT')
  child.kill('SIGKILL')
  await gone
}
