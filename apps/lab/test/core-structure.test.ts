import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

/** The packages of the core, whose structure a reader relies on. */
const core = ['database', 'safety', 'payments', 'booking'] as const

/** Transactions that do not take the order's or the hold's advisory lock, and why each needs none. */
const withoutLock: Readonly<Record<string, string>> = {
  'packages/safety/src/advisory-lock.ts': 'takes the lock, or runs operations whose rows nobody else can know yet',
  'packages/database/src/seed-development.ts': 'inserts fixed rows, once',
  'packages/payments/src/reconcile/runs.ts': 'a run has one owner, by its generation',
  'packages/payments/src/reconcile/repair-next.ts': 'a run has one owner, by its generation',
  'packages/payments/src/subscription/bill-hour.ts': 'one leader, by its fence',
  'packages/payments/src/subscription/invoice-subscription.ts': 'one leader, by its fence; the version decides',
  'packages/payments/src/subscription/gateway-customer.ts': 'locks the subscription that it pauses',
  'packages/booking/src/hold/expire-holds.ts': 'relies on the locks of the rows that it expires',
}

const sources = new Map(
  core.flatMap((name) => filesOf(name)).map((file) => [file, readFileSync(join(root, file), 'utf8')]),
)

describe('the advisory lock', () => {
  it('is taken by underLock alone', () => {
    expect(filesWith(/\badvisoryLock\(/)).toEqual(['packages/safety/src/advisory-lock.ts'])
  })

  it('is left out only by transactions that are listed with a reason', () => {
    const ownTransactions = filesWith(/(?:await |return |=> )[\w.]*\btransaction(?:<[^>]*>)?\(/).filter(
      (file) => !file.startsWith('packages/database/src/database'),
    )
    expect(ownTransactions).toEqual(Object.keys(withoutLock).sort())
  })
})

describe('guard.ts', () => {
  const lines = (sources.get('packages/safety/src/guard.ts') ?? '').split('\n')

  it('has at most 180 lines', () => {
    expect(lines.length - 1).toBeLessThanOrEqual(180)
  })

  it.each(['guardEffect', 'guardSystemEffect', 'guardTransaction'])(
    'shows the nest of %s in at most 20 lines',
    (name) => {
      const begin = lines.findIndex((line) => line.startsWith(`export function ${name}`))
      const length = lines.slice(begin).indexOf('}') + 1
      expect(begin).toBeGreaterThan(0)
      expect(length).toBeLessThanOrEqual(20)
    },
  )
})

describe('imports, those of types included', () => {
  it.each(core)('form no cycle between the files of %s', (name) => {
    expect(findCycle(graphOf(filesOf(name), (file) => file))).toBeNull()
  })

  it.each(['payments', 'booking'])('form no cycle between the slices of %s', (name) => {
    const slice = (file: string) => file.split('/').slice(3, -1).join('/') || null
    expect(findCycle(graphOf(filesOf(name), slice))).toBeNull()
  })
})

function filesOf(name: string): string[] {
  return readdirSync(join(root, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
    .map((file) => `packages/${name}/src/${file}`)
    .filter((file) => file.endsWith('.ts') && !file.includes('/generated/'))
}

function filesWith(pattern: RegExp): string[] {
  return [...sources]
    .filter(([, source]) => pattern.test(source))
    .map(([file]) => file)
    .sort()
}

/** Edges between files, or between what `groupOf` makes of them. Null: outside of all groups. */
function graphOf(files: readonly string[], groupOf: (file: string) => string | null): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>()
  for (const file of files) {
    const from = groupOf(file)
    if (from === null) continue
    const edges = graph.get(from) ?? new Set()
    graph.set(from, edges)
    for (const [, specifier = ''] of (sources.get(file) ?? '').matchAll(/from '(\.[^']+)'/g)) {
      const to = groupOf(relative(root, resolve(root, dirname(file), specifier)))
      if (to !== null && to !== from) edges.add(to)
    }
  }
  return graph
}

/** A way that comes back to its beginning, or null. */
function findCycle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] | null {
  const done = new Set<string>()
  const visit = (name: string, way: readonly string[]): string[] | null => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name]
    if (done.has(name)) return null
    for (const next of graph.get(name) ?? []) {
      const cycle = visit(next, [...way, name])
      if (cycle !== null) return cycle
    }
    done.add(name)
    return null
  }
  for (const name of graph.keys()) {
    const cycle = visit(name, [])
    if (cycle !== null) return cycle
  }
  return null
}
