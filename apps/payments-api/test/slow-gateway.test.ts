import { recoverPayment } from '@seatbelt/payments'
import { eventually, race, valuesOf } from '@seatbelt/testing'
import { describe, expect, it } from 'vitest'
import { runRecovery } from '../../worker/src/index.ts'
import { closers, isStoppedIn, openWorld, startApi, type World } from './gateway-world.ts'

/** As many as `openConnections` gives to the requests of one account. */
const places = 100
const surplus = 60
/** Longer than a hundred payments at once take on a machine that is busy twenty times over. */
const boundMs = 90_000
const timeout = 300_000

function startWorker({ open, logger }: World) {
  const { payments, metrics } = open('worker')
  const stop = new AbortController()
  const ended = runRecovery({
    ...{ lanes: 10, idlePauseMs: 200, signal: stop.signal, logger, registry: metrics.registry },
    recover: () => recoverPayment(payments.deps),
    onWake: payments.onGatewayBack,
  })
  closers.push(() => {
    stop.abort()
    return ended
  })
  return {
    isStopped: isStoppedIn(metrics.registry),
    /** Longer than this test waits: what is looked at all the same was made due. */
    putOff: () =>
      payments.database.client.payment.updateMany({
        where: { state: 'processing', leasedUntil: null },
        data: { nextAttemptAt: new Date(Date.now() + 3_600_000) },
      }),
  }
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await work(item))
  return results
}

/** Sends the payments, ten at a time, so that none waits for a connection, and resolves when each of them is claimed. */
async function holdAll({ pay, count }: Awaited<ReturnType<typeof startApi>>, orders: readonly string[]) {
  const answers: Promise<Awaited<ReturnType<typeof pay>>>[] = []
  let answered = 0
  const countOne = () => {
    answered++
  }
  for (let sent = 0; sent < orders.length; sent += 10) {
    answers.push(...orders.slice(sent, sent + 10).map((id) => pay(id)))
    // Whoever waits for them hears of a failure; a test that fails before that has said what it failed of.
    for (const answer of answers.slice(sent)) answer.then(countOne, countOne)
    const claimed = async () => (await count(orders)).payments === Math.min(sent + 10, orders.length)
    await eventually(`${sent + 10} payments are claimed`, claimed, { boundMs })
  }
  return { answers: race(answers.map((answer) => () => answer)), answered: () => answered }
}

/** Reads all the time until the work is done, so also in the moment when all its settles come at once. */
async function readingUntil<T, R>(work: Promise<T>, read: () => Promise<R>): Promise<[T, R[]]> {
  const reads: R[] = []
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  while (!isDone) reads.push(await read())
  return [await done, reads]
}

const statusesOf = (answers: readonly { status: number }[]) => [...new Set(answers.map(({ status }) => status))]

describe('a gateway that takes requests and does not answer', () => {
  it('holds as many payments as there are places; nobody else waits, the surplus has claimed nothing, and in the end all are paid once', {
    timeout,
  }, async () => {
    const world = await openWorld()
    const api = await startApi(world)
    const made = await inTurn(Array.from({ length: places + surplus + 1 }), api.createOrder)
    const [paidBefore = '', ...orders] = made.map(({ answer }) => answer.id)
    expect((await api.pay(paidBefore)).status).toBe(201)
    const [held, refused] = [orders.slice(0, places), orders.slice(places)]

    world.proxy.hold('to-client')
    const holding = await holdAll(api, held)

    const refusals = await inTurn(refused, (id) => api.pay(id))
    const reads = await inTurn(refused, api.readOrder)
    const creations = await inTurn(refused, api.createOrder)
    expect(statusesOf(refusals)).toEqual([503])
    expect(new Set(refusals.map(({ headers }) => headers.get('retry-after')))).toEqual(new Set(['1']))
    expect([statusesOf(reads), statusesOf(creations)]).toEqual([[200], [201]])
    expect(await api.count(refused)).toEqual({ payments: 0, keys: 0 })
    // All of that was answered while nothing came from the gateway: nobody in it waited for those who wait.
    expect(holding.answered()).toBe(0)

    // The connections break: who had a place hears where to look, and nobody else gets one.
    world.proxy.refuse()
    const [settled, readsMeanwhile] = await readingUntil(holding.answers, () => api.readOrder(paidBefore))
    expect(statusesOf(valuesOf(settled))).toEqual([202])
    expect(statusesOf(readsMeanwhile)).toEqual([200])
    expect(await api.isStopped()).toBe(true)
    const [refusedAgain, replayed] = [await api.pay(refused[0] ?? ''), await api.pay(paidBefore)]
    expect([refusedAgain.status, refusedAgain.answer.code]).toEqual([503, 'temporarily-unavailable'])
    expect([replayed.status, replayed.headers.get('idempotent-replayed')]).toEqual([201, 'true'])
    const worker = startWorker(world)
    await eventually('the worker does not ask any more either', worker.isStopped, { boundMs })
    await worker.putOff()

    world.proxy.flow('to-client')
    world.proxy.accept()
    await eventually('nothing is processing', async () => (await api.processing()) === 0, { boundMs })
    await eventually('the api asks again', async () => !(await api.isStopped()), { boundMs })
    expect(statusesOf(await inTurn(orders, (id) => api.pay(id)))).toEqual([201])
    expect(await Promise.all(orders.map(world.charges))).toEqual(orders.map(() => 1))
  })

  it('leaves slots to the other accounts, when one account has all that an account can have', {
    timeout,
  }, async () => {
    const world = await openWorld()
    const api = await startApi(world)
    const orders = (await inTurn(Array.from({ length: places }), api.createOrder)).map(({ answer }) => answer.id)
    const refused = (await api.createOrder()).answer.id
    const [unpaid = '', ...others] = (await inTurn([1, 2, 3], api.other.createOrder)).map(({ answer }) => answer.id)

    world.proxy.hold('to-client')
    const holding = await holdAll(api, orders)
    expect((await api.pay(refused)).status).toBe(503)
    const held = await holdAll({ ...api, pay: api.other.pay }, others)
    expect([holding.answered(), held.answered()]).toEqual([0, 0])

    world.proxy.flow('to-client')
    expect(statusesOf(valuesOf(await held.answers))).toEqual([201])
    expect(statusesOf(valuesOf(await holding.answers))).toEqual([201])
    expect((await api.other.pay(unpaid)).status).toBe(201)
  })

  it('the control: without the gate it holds every payment that comes', { timeout }, async () => {
    const world = await openWorld()
    const open = {
      forRequests: <T>(_: unknown, work: () => Promise<T>) => work(),
      forRecovery: <T>(_: unknown, work: () => Promise<T>) => work(),
    }
    const api = await startApi(world, (deps) => ({ ...deps, layers: { ...deps.layers, gatewayGate: open } }))
    const made = await inTurn(Array.from({ length: places + surplus }), api.createOrder)
    const orders = made.map(({ answer }) => answer.id)
    world.proxy.hold('to-client')
    const holding = await holdAll(api, orders)
    world.proxy.refuse()
    expect(statusesOf(valuesOf(await holding.answers))).toEqual([202])
  })
})
