import { eventually } from '@seatbelt/testing'
import { Registry } from 'prom-client'
import { afterEach, expect, it, vi } from 'vitest'
import { createDurabilityWatch } from '../src/shared/durability-watch.ts'

const safe = {
  ...{ fsync: 'on', synchronousCommit: 'on', standbyNames: '*', seesStandbys: true, standbys: 1, synchronous: 1 },
  timeline: '00000001',
  role: 'seatbelt',
}

let watch: ReturnType<typeof createDurabilityWatch> | undefined
afterEach(async () => {
  vi.useRealTimers()
  await watch?.close()
})

function openWatch() {
  const registry = new Registry()
  const lines: string[] = []
  const seen = { row: safe as object | null, looks: 0 }
  const opened = createDurabilityWatch({
    registry,
    log: { info: (line) => lines.push(line), warn: (_, line) => lines.push(line) },
  })
  watch = opened
  const query = async <Row>() => {
    seen.looks += 1
    if (seen.row === null) throw new Error('the database is away')
    return [seen.row] as Row[]
  }
  opened.start({ query })
  const look = async (row: object | null) => {
    const before = seen.looks
    seen.row = row
    opened.onConnection()
    await eventually('the settings are read again', async () => seen.looks > before)
  }
  const risk = async (name: string) =>
    (await registry.getMetricsAsJSON())
      .flatMap(({ values }) => values as { labels: { risk?: string }; value: number }[])
      .find(({ labels }) => labels.risk === name)?.value
  return {
    lines,
    look,
    risk,
    seen,
    onConnection: opened.onConnection,
    started: () => eventually('it has looked', async () => seen.looks > 0),
  }
}

it('is silent where nothing can be lost', async () => {
  const { lines, risk, started } = openWatch()
  await started()
  expect(await risk('standby-asynchronous')).toBe(0)
  expect(lines).toEqual([])
})

it('reports a promotion after a new connection, and what may be lost from then on', async () => {
  const { lines, look, risk, started } = openWatch()
  await started()
  await look({ ...safe, timeline: '00000002', standbyNames: '', synchronous: 0 })
  expect(lines).toEqual([
    expect.stringContaining('promoted or restored'),
    expect.stringContaining('standby-asynchronous'),
  ])
  expect(await risk('standby-asynchronous')).toBe(1)
  await look({ ...safe, timeline: '00000002' })
  expect(await risk('standby-asynchronous')).toBe(0)
  expect(lines.at(-1)).toContain('commits survive')
})

it('reports a promotion also if a look failed in between', async () => {
  const { lines, look, started } = openWatch()
  await started()
  await look(null)
  await look({ ...safe, timeline: null })
  await look({ ...safe, timeline: '00000002' })
  await eventually('the promotion is reported', async () => lines.some((line) => line.includes('promoted or restored')))
})

it('counts settings that cannot be read as unsafe', async () => {
  const { lines, look, risk, started } = openWatch()
  await started()
  await look(null)
  expect(await risk('unreadable')).toBe(1)
  expect(lines.at(-1)).toContain('unreadable')
})

it('sees within a minute a promotion that brings no new connection, as behind a pooler', async () => {
  vi.useFakeTimers()
  const { lines, seen } = openWatch()
  await vi.advanceTimersByTimeAsync(0)
  expect(seen.looks).toBe(1)
  seen.row = { ...safe, timeline: '00000002' }
  await vi.advanceTimersByTimeAsync(60_000)
  expect(lines).toEqual([expect.stringContaining('promoted or restored')])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(seen.looks).toBe(3)
})

it('looks soon after new connections, however many come and although the next look is a minute away', async () => {
  vi.useFakeTimers()
  const { seen, onConnection } = openWatch()
  await vi.advanceTimersByTimeAsync(0)
  for (let connections = 0; connections < 4; connections++) {
    onConnection()
    await vi.advanceTimersByTimeAsync(300)
  }
  expect(seen.looks).toBe(2)
})

it('names the statement that lets a blind role see the standbys', async () => {
  const { lines, look, started } = openWatch()
  await started()
  await look({ ...safe, seesStandbys: false, role: '"the shop"' })
  expect(lines).toEqual(['commits may be lost (unreadable): as a superuser, run GRANT pg_read_all_stats TO "the shop"'])
})
