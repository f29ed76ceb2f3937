import type { Execution, Step } from '@seatbelt/explore'
import { describe, expect, it } from 'vitest'
import { type ExploreReport, layerNames, type MeasuredClaim } from '../../src/explore/explore-report.ts'
import { renderExplorePage } from '../../src/explore/page/render-explore-page.ts'
import { labelOf } from '../../src/explore/page/step-label.ts'

const page = renderExplorePage(sampleReport())

describe('the page of the explorer', () => {
  it('has a row for each layer, measured or not', () => {
    for (const name of layerNames) expect(page).toContain(`<span class="layer">${name}</span>`)
    expect(page).toContain('<span class="layer">seat claim</span><span class="soft">not measured</span>')
    expect(rowOf('advisory lock')).toMatch(/charged twice after \d+ steps/)
    expect(rowOf('version')).toContain('nothing broke in 12 schedules')
    expect(rowOf('generation')).toContain('Not as claimed.')
  })

  it('shows a figure that was not measured as such', () => {
    expect(page).toContain('<dt>schedules per second</dt><dd>not measured</dd>')
    expect(page).toContain('<td class="number">not measured</td>')
    expect(page.split('<script')[0]).not.toMatch(/\bnull\b|undefined|NaN/)
  })

  it('escapes what actors and servers sent', () => {
    const evil = '</script><img src=x onerror=alert(1)>'
    const report = sampleReport()
    const [row] = report.mutants
    const text = renderExplorePage({
      ...report,
      reasons: [evil],
      mutants: row ? [{ ...row, name: evil, change: evil }] : [],
      known: [{ what: evil, mendedBy: evil, execution: withText(evil) }],
    })
    expect(text).not.toContain('<img')
    expect(text.match(/<\/script>/g)).toHaveLength(2)
    expect(dataOf(text).texts.map(([, full]) => full)).toContain(evil)
  })

  it('charges again for a second intent, and not for a repeated request', () => {
    const twice = run({ first: 'a', switches: [5, 17] })
    const repeated = { ...twice, steps: twice.steps.map((step) => ({ ...step, text: step.text.replace('#b', '#a') })) }
    expect(moneyIn(twice)).toEqual(['taken', 'taken again'])
    expect(moneyIn(repeated)).toEqual(['taken'])
  })
})

describe('the game', () => {
  const [game] = dataOf(page).games
  const recorded = sampleReport().games[0]?.executions ?? []

  it('leads to each recorded execution, and to no other one', () => {
    const played = game ? endsOf(game, game.root).map((end) => JSON.stringify(game.ends[end])) : []
    expect(played.toSorted()).toEqual(
      recorded.map(({ endings, violations }) => JSON.stringify({ endings, violations })).toSorted(),
    )
  })

  it('stores equal subtrees once', () => {
    const steps = recorded.reduce((sum, execution) => sum + execution.steps.length, 0)
    expect(game?.nodes.length).toBeLessThan(steps / 5)
  })

  it('shows the answer of a step that waits with the step that releases it', () => {
    const [, locked] = dataOf(page).games
    const waits = locked?.steps.filter((step) => step.waits) ?? []
    expect(waits.length).toBeGreaterThan(0)
    expect(waits.every(({ answer, answeredAt }) => answer === null && answeredAt === null)).toBe(true)
    expect(locked?.nodes.some(([, , released]) => released.length > 0)).toBe(true)
  })

  it('offers the victims of a deadlock as different choices', () => {
    const choices = deadlockChoices()
    expect(choices).toContain('PostgreSQL ends the deadlock by an error for a. Let a go on')
    expect(choices).toContain('Let b go on')
  })
})

describe('the label of a step', () => {
  it.each([
    ['postgres', 'BEGIN ISOLATION LEVEL READ COMMITTED', 'BEGIN'],
    ['postgres', 'SELECT state FROM orders WHERE id = $1 FOR NO KEY UPDATE OF orders', 'SELECT orders FOR UPDATE'],
    [
      'postgres',
      'WITH x AS (INSERT INTO payments VALUES ($1)) UPDATE orders SET a = 1',
      'INSERT payments; UPDATE orders',
    ],
    ['postgres', 'WITH x AS (INSERT INTO p VALUES (1)) INSERT INTO q SELECT 1', 'INSERT p, q'],
    ['postgres', 'INSERT INTO keys VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = 1', 'INSERT keys'],
    ['postgres', "SELECT pg_advisory_xact_lock(hashtextextended('x', 0))", 'advisory lock'],
    ['redis', 'SET lock:order:#1 #2 PX 1000 NX', 'SET lock:order:#1'],
    ['redis', 'EVALSHA 0123 1 lock:order:#1 #2', 'EVALSHA lock:order:#1'],
    ['gateway', 'POST /v1/payment_intents/#3/confirm', 'POST /payment_intents/#3/confirm'],
  ] as const)('of %s "%s" is "%s"', (server, text, label) => {
    expect(labelOf({ server, text })).toBe(label)
  })
})

interface Data {
  readonly texts: readonly (readonly [string, string])[]
  readonly executions: readonly { readonly steps: readonly { readonly money: string | null }[] }[]
  readonly games: readonly PlayedGame[]
}

interface PlayedGame {
  readonly root: number
  readonly steps: readonly (Step & { readonly waits: boolean; readonly choice: string })[]
  readonly nodes: readonly [step: number, children: number[], released: unknown[], end: number | null][]
  readonly ends: readonly unknown[]
}

function dataOf(text: string): Data {
  return JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text)?.[1] ?? '')
}

function rowOf(layer: string): string {
  return (
    page.split('<details class="claim">').find((part) => part.includes(`<span class="layer">${layer}</span>`)) ?? ''
  )
}

function endsOf(game: PlayedGame, at: number): number[] {
  const [, children = [], , end] = game.nodes[at] ?? []
  return [...(end === null || end === undefined ? [] : [end]), ...children.flatMap((child) => endsOf(game, child))]
}

function moneyIn(execution: Execution): unknown[] {
  const known = [{ what: 'x', mendedBy: 'y', execution }]
  const shown = dataOf(renderExplorePage({ ...sampleReport(), known })).executions.at(-1)
  return shown?.steps.flatMap(({ money }) => money ?? []) ?? []
}

function withText(text: string): Execution {
  const execution = run({ first: 'a', switches: [] })
  return { ...execution, steps: execution.steps.map((step) => ({ ...step, text })) }
}

/** Both actors wait for each other's row. The answer of either comes after step 3. */
function deadlockChoices(): string[] {
  const update = { server: 'postgres', fault: null, text: 'UPDATE orders SET a = 1' } as const
  const held = { ...update, outcome: 'answered', answer: 'UPDATE 1' } as const
  const execution = (victim: string): Execution => {
    const other = victim === 'a' ? 'b' : 'a'
    const answerOf = (actor: string) => (actor === victim ? 'error 40P01' : 'UPDATE 1')
    const steps: Step[] = [
      { n: 0, actor: 'a', answeredAt: 0, ...held },
      { n: 1, actor: 'b', answeredAt: 1, ...held },
      { n: 2, actor: 'a', answeredAt: 3, ...update, outcome: 'blocked', answer: answerOf('a') },
      { n: 3, actor: 'b', answeredAt: 3, ...update, outcome: 'blocked', answer: answerOf('b') },
      { n: 4, actor: victim, answeredAt: 4, ...held },
      { n: 5, actor: other, answeredAt: 5, ...held },
    ]
    const deviations = victim === 'a' ? [{ at: 4, kind: 'victim' as const, of: 'a' }] : []
    return { schedule: { first: 'a', deviations }, actors: ['a', 'b'], steps, endings: {}, violations: [], hash: '' }
  }
  const games = [{ workload: 'deadlock', off: [], executions: [execution('b'), execution('a')] }]
  const [game] = dataOf(renderExplorePage({ ...sampleReport(), games })).games
  return game?.steps.map(({ choice }) => choice) ?? []
}

// --- The sample: a toy of the real operations, which the page can be looked at with as well. ---

interface Toy {
  readonly first: string
  readonly switches: readonly number[]
  readonly isLocked?: boolean
  /** The step whose answer is lost. */
  readonly lostAt?: number
}

type Message = Pick<Step, 'server' | 'text'> & { readonly does?: 'lock' | 'unlock' | 'read' | 'move' | 'confirm' }

/** Two programs pay one order. Each reads it, claims it, and charges; the lock makes the second one wait. */
function run({ first, switches, isLocked = false, lostAt }: Toy): Execution {
  const steps: Step[] = []
  const actors = { a: payment('a', isLocked), b: payment('b', isLocked) } as Record<string, Message[]>
  const endings: Record<string, string | null> = {}
  let [isOpen, owner, charges, running] = [true, '', 0, first]
  let waiting: { actor: string; at: number } | null = null
  while (Object.values(actors).some((messages) => messages.length > 0)) {
    const n = steps.length
    const other = running === 'a' ? 'b' : 'a'
    const isStopped = actors[running]?.length === 0 || waiting?.actor === running
    if (isStopped || (switches.includes(n) && actors[other]?.length !== 0 && waiting?.actor !== other)) running = other
    const message = actors[running]?.shift()
    if (!message) break
    const { does, server, text } = message
    const isBlocked = does === 'lock' && owner !== ''
    const isLost = n === lostAt
    const answer =
      does === 'confirm' ? '200 succeeded' : server === 'gateway' ? '200 requires_confirmation' : answerTo(text)
    const outcome = isBlocked ? 'blocked' : isLost ? 'unanswered' : 'answered'
    const fault = isLost ? 'lose-answer' : null
    steps.push({ n, actor: running, server, text, outcome, answeredAt: isBlocked ? null : n, answer, fault })
    if (isBlocked) waiting = { actor: running, at: n }
    if (does === 'lock' && !isBlocked) owner = running
    if (does === 'read' && !isOpen) actors[running] = [{ server: 'postgres', text: 'ROLLBACK', does: 'unlock' }]
    if (does === 'read' && !isOpen) endings[running] = 'refused order-not-open'
    if (does === 'move') isOpen = false
    if (does === 'confirm') charges += 1
    if (does === 'unlock' && owner === running) {
      owner = waiting?.actor ?? ''
      const blocked = waiting ? steps[waiting.at] : undefined
      if (blocked) steps[blocked.n] = { ...blocked, answeredAt: n }
      waiting = null
    }
    if (isLost) actors[running] = []
    if (isLost) endings[running] = 'unsettled'
    if (actors[running]?.length === 0) endings[running] ??= 'answered 201'
  }
  if (lostAt !== undefined) recover(steps, endings)
  const deviations = switches.map((at) => ({ at, kind: 'switch' as const, to: 'b' }))
  const violations = charges > 1 ? [`I1: #1: charged ${charges} times`] : []
  const names = Object.keys(endings).toSorted()
  return { schedule: { first, deviations }, actors: names, steps, endings, violations, hash: '' }
}

function payment(actor: string, isLocked: boolean): Message[] {
  const lock: Message = {
    server: 'postgres',
    text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
    does: 'lock',
  }
  return [
    { server: 'postgres', text: 'SELECT fingerprint, step FROM idempotency_keys WHERE account_id = $1 AND key = $2' },
    { server: 'redis', text: `SET lock:order:#1 #${actor}1 PX 60000 NX` },
    { server: 'postgres', text: 'BEGIN ISOLATION LEVEL READ COMMITTED' },
    ...(isLocked ? [lock] : []),
    { server: 'postgres', text: 'SELECT * FROM orders WHERE id = $1', does: 'read' },
    {
      server: 'postgres',
      text: `WITH x AS (INSERT INTO payments (id) VALUES (#${actor}) RETURNING id) SELECT 1 FROM x`,
    },
    { server: 'postgres', text: "UPDATE orders SET state = 'paying' WHERE id = $1", does: 'move' },
    { server: 'postgres', text: 'COMMIT', does: 'unlock' },
    { server: 'gateway', text: 'POST /v1/payment_intents' },
    { server: 'postgres', text: 'UPDATE payments SET gateway_intent_id = $1 WHERE id = $2' },
    { server: 'gateway', text: `POST /v1/payment_intents/#${actor}/confirm`, does: 'confirm' },
    { server: 'postgres', text: "UPDATE payments SET state = 'succeeded' WHERE id = $1" },
  ]
}

function answerTo(text: string): string {
  const [verb = ''] = labelOf({ server: 'postgres', text }).split(' ')
  return { SELECT: 'SELECT 1', UPDATE: 'UPDATE 1', INSERT: 'SELECT 1', advisory: 'SELECT 1', SET: 'OK' }[verb] ?? verb
}

function recover(steps: Step[], endings: Record<string, string | null>): void {
  const texts = ["UPDATE payments SET state = 'succeeded', generation = 2 WHERE id = $1", 'COMMIT']
  for (const text of texts) {
    const common = { actor: 'recovery', server: 'postgres', outcome: 'answered', fault: null } as const
    steps.push({ n: steps.length, text, answeredAt: steps.length, answer: answerTo(text), ...common })
  }
  endings.recovery = 'recovered'
}

/** Every schedule with at most two switches. */
function playable(isLocked: boolean): Execution[] {
  const places = Array.from({ length: 23 }, (_, at) => at + 1)
  const pairs = places.flatMap((one) => places.filter((two) => two > one).map((two) => [one, two]))
  const toys = ['a', 'b'].flatMap((first) =>
    [[], ...places.map((at) => [at]), ...pairs].map((switches) => run({ first, switches, isLocked })),
  )
  return [...new Map(toys.map((execution) => [JSON.stringify(execution.steps), execution])).values()]
}

function sampleReport(): ExploreReport {
  const broken = run({ first: 'a', switches: [5, 17] })
  const claim: MeasuredClaim = {
    layer: 'advisory lock',
    prevents: 'Two payments of one order are both claimed.',
    given: ['idempotency key', 'generation'],
    workload: 'two keys',
    measured: 'as claimed',
    without: broken,
    with: run({ first: 'a', switches: [5, 17], isLocked: true }),
    schedulesWithout: 41,
    schedulesWith: 1_204,
    violationsWith: 0,
  }
  const lost = run({ first: 'a', switches: [], isLocked: true, lostAt: 10 })
  return {
    verdict: 'valid',
    reasons: [],
    startedAt: '2026-11-29T06:00:00.000Z',
    durationSeconds: 912,
    schedules: 41_230,
    schedulesPerSecond: null,
    violations: 0,
    layers: [
      { off: [], fault: 'none', workload: 'two keys', schedules: 1_204, bound: 1_204, violations: 0, shortest: null },
      {
        off: ['version'],
        fault: 'crash',
        workload: 'two keys',
        schedules: 41,
        bound: null,
        violations: 1,
        shortest: broken,
      },
    ],
    claims: [
      claim,
      {
        ...claim,
        layer: 'version',
        without: null,
        with: null,
        schedulesWithout: 12,
        prevents: 'An order changes unseen.',
      },
      { ...claim, layer: 'generation', measured: 'not as claimed', with: lost, prevents: 'An old owner settles.' },
    ],
    mutants: [
      { name: 'no version', change: 'WHERE version = $1 -> WHERE true', found: true, schedules: 19, shortest: broken },
    ],
    known: [{ what: 'A lost commit charges twice.', mendedBy: 'issue 13', execution: lost }],
    games: [
      { workload: 'two keys', off: ['advisory lock', 'version'], executions: playable(false) },
      { workload: 'two keys', off: [], executions: playable(true) },
    ],
  }
}
