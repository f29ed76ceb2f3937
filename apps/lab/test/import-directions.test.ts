import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

/**
 * Which packages the sources of each may import. What is not listed is not allowed: a new package or a new direction is a decision,
 * and is made here. (Tests may import what they like; `testing` is for them and for the explorer.)
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  locks: [],
  testing: [],
  explore: ['testing'],
  database: ['domain'],
  http: ['domain'],
  safety: ['domain', 'database', 'locks'],
  payments: ['domain', 'database', 'locks', 'safety'],
  booking: ['domain', 'database', 'locks', 'safety', 'payments'],
  gateway: ['domain', 'http'],
  'payments-api': ['booking', 'domain', 'database', 'http', 'locks', 'payments', 'safety'],
  'booking-api': ['booking', 'domain', 'database', 'http', 'locks', 'payments', 'safety'],
  worker: ['booking', 'domain', 'database', 'http', 'locks', 'payments', 'safety'],
  lab: [
    ...[
      'booking',
      'booking-api',
      'domain',
      'database',
      'explore',
      'gateway',
      'http',
      'locks',
      'payments',
      'payments-api',
      'safety',
    ],
    ...['testing', 'worker'],
  ],
}

/** Tables that k6 reads where they stand, and that import nothing: they know no packages. */
const readByK6Too: readonly string[] = ['loadtests/lib/loads.ts', 'loadtests/lib/hall.ts']

interface Import {
  /** The file, from the root of the checkout. */
  readonly file: string
  /** The package whose source it is. */
  readonly from: string
  /** What is written between the quotes. */
  readonly specifier: string
}

describe('imports between packages', () => {
  const imports = readSources()

  it('are found at all', () => {
    // Were nothing found, everything below would hold.
    expect(new Set(imports.map(({ from }) => from)).size).toBeGreaterThan(5)
    expect(imports.filter(({ specifier }) => specifier.startsWith('@seatbelt/')).length).toBeGreaterThan(10)
  })

  it('point one way', () => {
    expect(imports.filter(isTurned).map(describeImport)).toEqual([])
  })

  it('form no cycle', () => {
    expect(findCycle(packageGraph(imports))).toBeNull()
  })

  it('go through a package, not around it into its files', () => {
    expect(imports.filter(leavesItsPackage).map(describeImport)).toEqual([])
  })

  it('end at what k6 reads too', () => {
    for (const file of readByK6Too) expect(specifiersIn(readFileSync(join(root, file), 'utf8')), file).toEqual([])
  })

  it('leave the domain without anything but itself', () => {
    const outward = imports.filter(({ from, specifier }) => from === 'domain' && !specifier.startsWith('.'))
    expect(outward.map(describeImport)).toEqual([])
  })
})

describe('the reading of imports', () => {
  it.each([
    ["import { a } from '@seatbelt/locks'", '@seatbelt/locks'],
    ["import type { A } from '@seatbelt/locks'", '@seatbelt/locks'],
    ["export * from './a.ts'", './a.ts'],
    ["import '@seatbelt/http'", '@seatbelt/http'],
    ["const a = await import('@seatbelt/http')", '@seatbelt/http'],
    ["import {\n  a,\n  b,\n} from 'pg'", 'pg'],
  ])('sees %j', (source, specifier) => {
    expect(specifiersIn(source)).toEqual([specifier])
  })

  it('tells a turned direction', () => {
    expect(isTurned({ file: 'a.ts', from: 'payments', specifier: '@seatbelt/booking' })).toBe(true)
    expect(isTurned({ file: 'a.ts', from: 'booking', specifier: '@seatbelt/payments' })).toBe(false)
    expect(isTurned({ file: 'a.ts', from: 'safety', specifier: '@seatbelt/booking' })).toBe(true)
    expect(isTurned({ file: 'a.ts', from: 'booking', specifier: '@seatbelt/http' })).toBe(true)
    expect(isTurned({ file: 'a.ts', from: 'booking', specifier: '@seatbelt/booking-api' })).toBe(true)
    expect(isTurned({ file: 'a.ts', from: 'payments-api', specifier: '@seatbelt/gateway' })).toBe(true)
    expect(isTurned({ file: 'a.ts', from: 'safety', specifier: '@seatbelt/testing' })).toBe(true)
    expect(isTurned({ file: 'a.ts', from: 'unheard-of', specifier: '@seatbelt/domain' })).toBe(true)
  })

  it('tells a cycle, and which', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['d', 'b']],
      ['d', []],
    ])
    expect(findCycle(graph)).toEqual(['b', 'c', 'b'])
  })

  it('tells a way around a package', () => {
    const into = (specifier: string) => ({ file: 'packages/safety/src/guard.ts', from: 'safety', specifier })
    expect(leavesItsPackage(into('../../locks/src/lock.ts'))).toBe(true)
    expect(leavesItsPackage(into('@seatbelt/locks/src/lock.ts'))).toBe(true)
    expect(leavesItsPackage(into('./idempotency-key.ts'))).toBe(false)
    expect(leavesItsPackage(into('@seatbelt/locks'))).toBe(false)
  })
})

function isTurned({ from, specifier }: Import): boolean {
  const target = packageOf(specifier)
  if (target === null || target === from) return false
  return allowed[from]?.includes(target) !== true
}

function leavesItsPackage({ file, from, specifier }: Import): boolean {
  if (specifier.startsWith('@seatbelt/')) return specifier.split('/').length > 2
  if (!specifier.startsWith('.')) return false
  const target = relative(root, resolve(root, dirname(file), specifier))
  const home = file.split('/').slice(0, 2).join('/')
  // The lab and the helpers of tests share the bootstrap's own modules, which are there before any package is.
  if ((from === 'lab' || from === 'testing') && target.startsWith('scripts/')) return false
  if (from === 'lab' && readByK6Too.includes(target)) return false
  return !target.startsWith(`${home}/`)
}

function packageGraph(imports: readonly Import[]): Map<string, string[]> {
  const graph = new Map<string, string[]>()
  for (const { from, specifier } of imports) {
    const target = packageOf(specifier)
    const edges = graph.get(from) ?? []
    graph.set(from, target === null || target === from ? edges : [...edges, target])
  }
  return graph
}

/** A way that comes back to its beginning, or null. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
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

function packageOf(specifier: string): string | null {
  return /^@seatbelt\/([^/]+)/.exec(specifier)?.[1] ?? null
}

function describeImport({ file, specifier }: Import): string {
  return `${file} imports ${specifier}`
}

function readSources(): Import[] {
  return ['apps', 'packages'].flatMap((parent) =>
    readdirSync(join(root, parent)).flatMap((name) => readPackage(`${parent}/${name}`, name)),
  )
}

function readPackage(folder: string, from: string): Import[] {
  const entries = readdirSync(join(root, folder, 'src'), { recursive: true, encoding: 'utf8' })
  const files = entries.filter((path) => path.endsWith('.ts') && !path.startsWith('generated'))
  return files.flatMap((path) => {
    const file = `${folder}/src/${path}`
    return specifiersIn(readFileSync(join(root, file), 'utf8')).map((specifier) => ({ file, from, specifier }))
  })
}

function specifiersIn(source: string): string[] {
  const patterns = [
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
  ]
  return patterns.flatMap((pattern) => [...source.matchAll(pattern)].flatMap((match) => match[1] ?? []))
}
