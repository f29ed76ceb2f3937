import type { Gateway, GatewayPage } from '@seatbelt/safety'
import { createLatch } from '@seatbelt/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readRun, reconcile } from '../src/index.ts'
import { letRunLeaseRunOut, openReconciler, openStranger, type Reconciler, type Stranger } from './reconcile-support.ts'
import { openShop, type Replica, type Shop } from './shop.ts'

let shop: Shop
let worker: Replica
let stranger: Stranger
let reconciler: Reconciler
let charges: readonly string[]

/** Eleven pages, the last of them not full; hundreds of them within one second. */
const chargesInAll = 1_037

beforeAll(async () => {
  shop = await openShop({ latencyMs: 0 })
  worker = await shop.replica('worker-1')
  stranger = openStranger(shop)
  reconciler = openReconciler(worker, stranger.gateway)
  charges = await chargeMany(chargesInAll)
}, 180_000)
afterAll(async () => {
  await stranger?.close()
  await shop?.close()
})

/** For nobody's order: so each is a finding of its own, and what is skipped or repeated can be counted. */
async function chargeMany(count: number): Promise<string[]> {
  const ids: string[] = []
  const lane = async () => {
    while (ids.length < count) {
      const place = ids.push('') - 1
      ids[place] = await chargeNobody(100 + place)
    }
  }
  await Promise.all(Array.from({ length: 4 }, lane))
  return ids
}

/** In one request, because there are so many. */
async function chargeNobody(amountMinor: number): Promise<string> {
  const response = await fetch(`${shop.gatewayUrl}/v1/payment_intents`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk_test_dev_only' },
    body: new URLSearchParams({
      ...{ amount: `${amountMinor}`, currency: 'eur', payment_method: 'pm_card_visa', confirm: 'true' },
      ...{ 'allowed_payment_method_types[0]': 'card', error_on_requires_action: 'true' },
    }),
  })
  const { latest_charge: chargeId } = (await response.json()) as { latest_charge?: string }
  if (chargeId === undefined) throw new Error(`not charged: ${response.status}`)
  return chargeId
}

async function chargesIn(runIds: readonly string[]): Promise<string[]> {
  const rows = await shop.sql<{ id: string }>(
    'SELECT gateway_charge_id AS id FROM reconciliation_findings WHERE run_id = ANY($1)',
    [runIds],
  )
  return rows.map(({ id }) => id)
}

const report = { mode: 'report', from: null, to: null } as const

describe('many pages', () => {
  it('show each charge once', async () => {
    const { runId, standing } = await reconciler.run('report')
    expect((await chargesIn([runId])).toSorted()).toEqual(charges.toSorted())
    expect(standing).toBe(chargesInAll)
    const { run } = await readRun(worker.database, runId)
    expect(run).toMatchObject({ chargesSeen: chargesInAll, stage: 'done' })
    expect(await shop.sql('SELECT 1 FROM reconciliation_sightings')).toEqual([])
  })

  it.each([
    { at: 'before a page was read', killAfterReading: false },
    { at: 'after a page was read, before it was written down', killAfterReading: true },
  ])('are gone on with by the next process: killed $at', async ({ killAfterReading }) => {
    const asked: (string | null)[] = []
    const deps = { ...reconciler.deps, gateway: killedAt(6, asked, killAfterReading) }
    await expect(reconcile(deps, report)).rejects.toThrow('killed')
    expect(await reconcile(reconciler.deps, report)).toMatchObject({ kind: 'busy' })
    await letRunLeaseRunOut(shop)
    const again: (string | null)[] = []
    const result = await reconcile({ ...reconciler.deps, gateway: noting(again) }, report)
    if (result.kind !== 'finished') throw new Error(result.kind)
    expect((await chargesIn([result.runId])).toSorted()).toEqual(charges.toSorted())
    const { run } = await readRun(worker.database, result.runId)
    expect(run).toMatchObject({ chargesSeen: chargesInAll, generation: 2 })
    // It began where the other was killed, not at the beginning.
    expect(asked).toHaveLength(6)
    expect(again[0]).toBe(asked[5])
    expect(again).toHaveLength(6)
  })

  it('are written down by one process alone, also when another comes back that was paused and lost the run', async () => {
    const [first, second] = [halting(), halting()]
    const paused = reconcile({ ...reconciler.deps, gateway: first.gateway }, report)
    await first.reached.wait()
    await letRunLeaseRunOut(shop)
    const taker = reconcile({ ...reconciler.deps, gateway: second.gateway }, report)
    await second.reached.wait()
    first.goOn.open()
    expect(await paused).toMatchObject({ kind: 'interrupted', reason: 'another process goes on with it' })
    second.goOn.open()
    const result = await taker
    if (result.kind !== 'finished') throw new Error(result.kind)
    expect((await chargesIn([result.runId])).toSorted()).toEqual(charges.toSorted())
  })

  it('leave nothing out between two windows that meet within a second', async () => {
    const [row] = await shop.sql<{ first: Date; middle: Date; last: Date }>(
      `SELECT min(found_at) - interval '1 hour' AS first, clock_timestamp() AS last FROM reconciliation_findings`,
    )
    const { middle, isPopulated } = await aMomentInTheirMidst()
    expect(isPopulated).toBe(true)
    const runs: string[] = []
    for (const window of [
      { from: row?.first ?? null, to: middle },
      { from: middle, to: row?.last ?? null },
    ]) {
      const result = await reconcile(reconciler.deps, { mode: 'report', ...window })
      if (result.kind !== 'finished') throw new Error(result.kind)
      runs.push(result.runId)
    }
    expect([...new Set(await chargesIn(runs))].toSorted()).toEqual(charges.toSorted())
  })
})

/** Half a second into a second in which many were charged. */
async function aMomentInTheirMidst(): Promise<{ middle: Date; isPopulated: boolean }> {
  const page = {
    createdFrom: new Date(0),
    createdTo: new Date(),
    after: charges[chargesInAll / 2 - 0.5] ?? null,
    limit: 10,
  }
  const answer = await stranger.gateway.listCharges(page)
  const second = answer.kind === 'list' ? answer.items[0]?.createdAt : undefined
  return { middle: new Date((second?.getTime() ?? 0) + 500), isPopulated: second !== undefined }
}

/** Reads a page, and halts before it is written down: once. */
function halting() {
  const reached = createLatch('a page was read', { boundMs: 20_000 })
  const goOn = createLatch('the page is written down', { boundMs: 25_000 })
  const listCharges = async (page: GatewayPage) => {
    const answer = await stranger.gateway.listCharges(page)
    if (!reached.isOpen) {
      reached.open()
      await goOn.wait()
    }
    return answer
  }
  return { gateway: { ...stranger.gateway, listCharges }, reached, goOn }
}

function noting(asked: (string | null)[]): Gateway {
  const { gateway } = stranger
  return {
    ...gateway,
    listCharges: (page: GatewayPage) => {
      asked.push(page.after)
      return gateway.listCharges(page)
    },
  }
}

function killedAt(nth: number, asked: (string | null)[], afterReading: boolean): Gateway {
  const noted = noting(asked)
  return {
    ...noted,
    listCharges: async (page) => {
      const isLast = asked.length === nth - 1
      if (isLast && !afterReading) {
        asked.push(page.after)
        throw new Error('killed')
      }
      const answer = await noted.listCharges(page)
      if (isLast) throw new Error('killed')
      return answer
    },
  }
}

describe('a run that was broken off', () => {
  it('by a gateway that does not answer stands where it was, and is free at once', async () => {
    let pages = 0
    const away: Gateway = {
      ...stranger.gateway,
      listCharges: (page) =>
        ++pages <= 2
          ? stranger.gateway.listCharges(page)
          : Promise.resolve({ kind: 'unknown', reason: 'deadline', status: null, replayed: false, requestId: null }),
    }
    expect(await reconcile({ ...reconciler.deps, gateway: away }, report)).toMatchObject({ kind: 'interrupted' })
    const { runId } = await reconciler.run('report')
    expect((await chargesIn([runId])).toSorted()).toEqual(charges.toSorted())
  })

  it('and was to act is given up, not gone on with, by somebody who asks for a report', async () => {
    await expect(
      reconcile({ ...reconciler.deps, gateway: killedAt(2, [], false) }, { ...report, mode: 'act' }),
    ).rejects.toThrow('killed')
    await letRunLeaseRunOut(shop)
    const { runId } = await reconciler.run('report')
    const runs = await shop.sql<{ mode: string; stage: string }>(
      'SELECT mode, stage FROM reconciliation_runs ORDER BY started_at DESC LIMIT 2',
    )
    expect(runs).toEqual([
      { mode: 'report', stage: 'done' },
      { mode: 'act', stage: 'charges' },
    ])
    expect((await readRun(worker.database, runId)).run.mode).toBe('report')
  })

  it('is given up by who asks for what is true today, where it was begun before', async () => {
    await expect(reconcile({ ...reconciler.deps, gateway: killedAt(2, [], false) }, report)).rejects.toThrow('killed')
    await letRunLeaseRunOut(shop)
    await shop.sql(`UPDATE reconciliation_runs SET started_at = now() - interval '25 hours' WHERE finished_at IS NULL`)
    const { runId } = await reconciler.run('report')
    expect((await readRun(worker.database, runId)).run).toMatchObject({ generation: 1, chargesSeen: chargesInAll })
  })

  it('has nothing to compare in a window that is too young', async () => {
    const to = new Date(Date.now() + 60_000)
    expect(await reconcile(reconciler.deps, { mode: 'report', from: to, to })).toEqual({ kind: 'empty-window' })
  })
})
