import { createContext, runInContext } from 'node:vm'
import type { Deviation, Execution, Step } from '@seatbelt/explore'
import { describe, expect, it } from 'vitest'
import { type ExploreReport, layerNames, type MeasuredClaim } from '../../src/explore/explore-report.ts'
import { renderExplorePage } from '../../src/explore/page/render-explore-page.ts'
import { labelOf } from '../../src/explore/page/step-label.ts'

const sample = sampleReport()
const page = renderExplorePage(sample)

describe('the page of the explorer', () => {
  it('has a row for each layer, measured or not', () => {
    for (const name of layerNames) expect(page).toContain(`<span class="layer" data-head="layer">${name}</span>`)
    expect(rowOf('seat claim')).toContain('not measured')
    expect(rowOf('advisory lock')).toMatch(/charged twice after \d+ steps, 1 switch</)
    expect(rowOf('version')).toContain('nothing broke in 12 schedules')
    expect(rowOf('generation')).toContain('Not as claimed.')
  })

  it('shows a figure that was not measured as such', () => {
    expect(page).toContain('<dt>schedules per second</dt><dd>not measured</dd>')
    expect(rowsOf('explored')).toContain('data-head="within the bounds">not counted<')
    expect(page.split('<script')[0]).not.toMatch(/\bnull\b|undefined|NaN/)
  })

  it('escapes what actors and servers sent', () => {
    const evil = '</script><img src=x onerror=alert(1)>'
    const report = sample
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

  it('shows a claim without a result as not measured, and not as refuted', () => {
    const [claim] = sample.claims
    const open = { measured: null, without: null, with: null, schedulesWithout: null, schedulesWith: null }
    const text = renderExplorePage({
      ...sample,
      claims: claim
        ? [
            { ...claim, ...open, violationsWith: null },
            { ...claim, measured: null, without: null },
          ]
        : [],
    })
    expect(text).toContain('<dt>claims measured as claimed</dt><dd>not measured</dd>')
    expect(text).toContain('data-head="without it">not measured<')
    expect(text).toContain('data-head="with it">not measured<')
    expect(text).toContain('data-head="without it">not measured: nothing broke in 41 schedules, and there are more<')
    expect(text).not.toContain('Not as claimed.')
  })

  it('opens the shortest violation of a mutant and of a row, and nothing where nothing broke', () => {
    expect(rowsOf('mutants')).toMatch(/<details>.*no version.*charged twice.*<figure data-execution="\d+">/s)
    expect(rowsOf('explored').match(/<figure/g)).toHaveLength(1)
    expect(rowsOf('explored')).toMatch(/<div class="row">.*<details>.*version.*<figure data-execution="\d+">/s)
  })
})

describe('two diagrams beside each other', () => {
  const [without, withLayer] = pairsIn(page)
  const rowsBy = (side: ShownExecution | undefined, isOwn: boolean) =>
    (side?.steps ?? []).filter((step) => step.isOwn === isOwn).map(({ row, actor, text }) => `${row} ${actor} ${text}`)

  it('draw equal steps at equal heights', () => {
    expect(rowsBy(without, false).length).toBeGreaterThan(5)
    expect(rowsBy(without, false)).toEqual(rowsBy(withLayer, false))
    expect(rowsBy(withLayer, true).length).toBeGreaterThan(0)
  })

  it('mark the first difference in an empty row of both', () => {
    expect(without?.partsAt).toBe(withLayer?.partsAt)
    expect(without?.steps.slice(0, 3).map(({ row }) => row)).toEqual([0, 1, 2])
    // With the layer, the fourth step is the lock. Without it, it is the read, which comes after the lock.
    expect([without, withLayer].map((side) => side?.steps[3]?.row)).toEqual([5, 4])
    expect(without?.partsAt).toBe(3)
    const { diagram } = scriptsOf(page)
    for (const side of [without, withLayer]) expect(diagram(side)).toContain('here the two part')
  })

  it('have the same lifelines, because another width would be another scale', () => {
    const ours = run({ first: 'a', switches: [] })
    const sides = pairOf(ours, { ...ours, steps: ours.steps.filter(({ server }) => server !== 'gateway') })
    for (const side of sides) expect(side.servers).toEqual(['postgres', 'redis', 'gateway'])
  })

  it('part where a step is answered otherwise', () => {
    const ours = run({ first: 'a', switches: [] })
    const steps = ours.steps.map((step, at) => (at === 7 ? { ...step, answer: 'error 23505' } : step))
    const [side] = pairOf(ours, { ...ours, steps })
    expect(side?.partsAt).toBe(7)
    expect(side?.steps.some(({ isOwn }) => isOwn)).toBe(false)
  })
})

describe('what is derived from recorded steps', () => {
  it('charges again for a second intent, and not for a repeated request', () => {
    const twice = run({ first: 'a', switches: [5, 17] })
    const repeated = { ...twice, steps: twice.steps.map((step) => ({ ...step, text: step.text.replace('#b', '#a') })) }
    expect(moneyIn(twice)).toEqual(['taken', 'taken again'])
    expect(moneyIn(repeated)).toEqual(['taken'])
  })

  it.each([
    ['POST /v1/payment_intents/#1/confirm', '200 requires_capture', 'answered', ['reserved']],
    ['POST /v1/payment_intents/#1/capture', '200 succeeded', 'answered', ['taken']],
    ['POST /v1/payment_intents/#1/confirm', '200 succeeded', 'unanswered', ['taken']],
    ['POST /v1/payment_intents/#1/confirm', null, 'lost', []],
    ['POST /v1/payment_intents/#1/confirm', '402 succeeded', 'answered', []],
    ['GET /v1/payment_intents/#1', '200 succeeded', 'answered', []],
  ] as const)('%s with "%s" (%s) moves %j', (text, answer, outcome, money) => {
    const step: Step = { n: 0, actor: 'a', server: 'gateway', text, outcome, answeredAt: 0, answer, fault: null }
    expect(moneyIn({ ...run({ first: 'a', switches: [] }), steps: [step] })).toEqual(money)
  })

  it('names the actor that sleeps, where its sleep begins and where it ends', () => {
    const { steps, ...execution } = run({ first: 'a', switches: [] })
    const asleep = steps.map((step): Step => (step.n === 15 ? { ...step, actor: 'a', fault: 'pause' } : step))
    const schedule = { first: 'a', deviations: [{ at: 12, kind: 'pause' as const }] }
    const shown = shownAlone({ ...execution, steps: asleep, schedule })
    expect(shown?.steps[12]?.notes).toEqual([{ kind: 'fault', actor: 'a', text: 'a sleeps past its lease' }])
    expect(shown?.steps[15]?.notes).toEqual([{ kind: 'wake', actor: 'a', text: 'a wakes after its lease' }])
  })

  it('counts a switch only where the last actor could go on', () => {
    const { steps, ...execution } = run({ first: 'a', switches: [5] })
    const ended = steps.findLast(({ actor }) => actor === 'b')?.n ?? 0
    const handOver = { at: ended + 1, kind: 'switch' as const, to: 'a' }
    const schedule = { first: 'a', deviations: [...execution.schedule.deviations, handOver] }
    const notes = shownAlone({ ...execution, steps, schedule })?.steps.flatMap((step) => step.notes)
    expect(notes).toEqual([{ kind: 'switch', actor: 'b', text: 'switch to b' }])
  })
})

describe('the game', () => {
  it('leads to each recorded execution, and its switches are counted', () => {
    const game = play(page)
    expect(game.runs.length).toBe(sample.games[0]?.executions.length)
    for (const one of game.runs) {
      game.startAgain()
      while (game.nexts().size > 0) game.act({ dataset: { key: one.choices[game.path.length] ?? '' } })
      expect(game.path).toEqual(one.choices)
      expect(game.switches(game.shown())).toMatch(/Switches used: <b>[012] of 2</)
    }
  })

  it('says of a choice that it uses a switch', () => {
    const game = play(page)
    game.act({ dataset: { key: 'Let a go on' } })
    const used = [...game.nexts()].map(([choice, step]) => [
      choice,
      game.choice(choice, step).includes('uses a switch'),
    ])
    expect(used.toSorted()).toEqual([
      ['Let a go on', false],
      ['Let b go on', true],
    ])
  })

  it('shows the answer of a step that waits with the step that releases it', () => {
    const game = play(page, 1)
    const waits = game.runs.find(({ steps }) => steps.some(({ answeredAt }) => answeredAt !== null))
    const sent = waits?.steps.findIndex(({ answeredAt }) => answeredAt !== null) ?? -1
    const released = waits?.steps[sent]?.answeredAt ?? -1
    expect(released).toBeGreaterThan(sent)
    game.path = waits?.choices.slice(0, released) ?? []
    expect(game.shown().steps[sent]).toMatchObject({ answer: null, answeredAt: null })
    game.path = waits?.choices.slice(0, released + 1) ?? []
    expect(game.shown().steps[sent]).toMatchObject({ answer: 'SELECT 1', answeredAt: released })
  })

  it('offers the victims of a deadlock as different choices', () => {
    const game = play(deadlockPage())
    for (const key of ['a', 'b', 'a', 'b']) game.path.push(`Let ${key} go on`)
    expect(game.shown().steps.map(({ answer }) => answer)).toEqual(['UPDATE 1', 'UPDATE 1', null, null])
    const choices = ['PostgreSQL ends the deadlock by an error for a. Let a go on', 'Let b go on']
    expect([...game.nexts().keys()]).toEqual(choices.toReversed())
    game.path.push(choices[0] ?? '')
    expect(game.shown().steps[2]).toMatchObject({ answer: 'error 40P01' })
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

interface ShownExecution extends Pick<Execution, 'actors'> {
  readonly servers: readonly string[]
  readonly partsAt: number | null
  readonly steps: readonly ShownStep[]
}

interface ShownStep extends Pick<Step, 'actor' | 'answer' | 'answeredAt'> {
  readonly text: number
  readonly row: number
  readonly isOwn: boolean
  readonly money: string | null
  readonly notes: readonly unknown[]
}

interface Data {
  readonly texts: readonly (readonly [string, string])[]
  readonly executions: readonly ShownExecution[]
}

function dataOf(text: string): Data {
  return JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text)?.[1] ?? '')
}

/** Of two diagrams beside each other, the first one has the first number. */
function pairsIn(text: string): ShownExecution[] {
  return dataOf(text).executions.filter(({ partsAt }) => partsAt !== null)
}

function pairOf(without: Execution, withLayer: Execution): ShownExecution[] {
  const claims = sample.claims.slice(0, 1).map((claim) => ({ ...claim, without, with: withLayer }))
  return pairsIn(renderExplorePage({ ...sample, games: [], claims }))
}

interface Scripts {
  readonly diagram: (shown: ShownExecution | undefined) => string
  readonly Scheduler: { readonly prototype: Scheduler }
}

interface Scheduler {
  render: () => void
  path: string[]
  readonly runs: readonly { readonly choices: readonly string[]; readonly steps: readonly ShownStep[] }[]
  readonly open: (number: number) => void
  readonly startAgain: () => void
  readonly nexts: () => Map<string, ShownStep>
  readonly act: (button: { readonly dataset: { readonly key: string } }) => void
  readonly choice: (choice: string, step: ShownStep) => string
  readonly shown: () => { readonly steps: readonly ShownStep[] }
  readonly switches: (shown: { readonly steps: readonly ShownStep[] }) => string
}

/** Runs the page's scripts without a browser. */
function scriptsOf(text: string): Scripts {
  const script = /<script>(.*?)<\/script>/s.exec(text)?.[1] ?? ''
  const getElementById = (id: string) => (id === 'data' ? { textContent: JSON.stringify(dataOf(text)) } : null)
  const context = createContext({ document: { getElementById, addEventListener: () => undefined } })
  return runInContext(`${script}; ({ diagram, Scheduler })`, context)
}

/** A game that draws nothing. */
function play(text: string, number = 0): Scheduler {
  const game: Scheduler = Object.create(scriptsOf(text).Scheduler.prototype)
  game.render = () => undefined
  game.open(number)
  return game
}

function rowsOf(kind: string): string {
  return page.split('<div class="rows ').find((part) => part.startsWith(`${kind} `)) ?? ''
}

function rowOf(layer: string): string {
  return (
    rowsOf('claims')
      .split(' class="row">')
      .find((part) => part.includes(`data-head="layer">${layer}<`)) ?? ''
  )
}

function shownAlone(execution: Execution): ShownExecution | undefined {
  const known = [{ what: 'x', mendedBy: 'y', execution }]
  return dataOf(renderExplorePage({ ...sample, games: [], known })).executions.at(-1)
}

function moneyIn(execution: Execution): unknown[] {
  return shownAlone(execution)?.steps.flatMap(({ money }) => money ?? []) ?? []
}

function withText(text: string): Execution {
  const execution = run({ first: 'a', switches: [] })
  return { ...execution, steps: execution.steps.map((step) => ({ ...step, text })) }
}

/** Both actors wait for each other's row. The answer of either comes after step 3. */
function deadlockPage(): string {
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
  return renderExplorePage({ ...sample, games })
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
  const deviations: Deviation[] = []
  let [isOpen, owner, charges, running] = [true, '', 0, first]
  let waiting: { actor: string; at: number } | null = null
  while (Object.values(actors).some((messages) => messages.length > 0)) {
    const n = steps.length
    const other = running === 'a' ? 'b' : 'a'
    const isStopped = actors[running]?.length === 0 || waiting?.actor === running
    const isSwitched = !isStopped && switches.includes(n) && actors[other]?.length !== 0 && waiting?.actor !== other
    if (isSwitched) deviations.push({ at: n, kind: 'switch', to: other })
    if (isStopped || isSwitched) running = other
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
    redisLock: null,
    games: [
      { workload: 'two keys', off: ['advisory lock', 'version'], executions: playable(false) },
      { workload: 'two keys', off: [], executions: playable(true) },
    ],
  }
}
