import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  createGatewayGate,
  type Gateway,
  type GatewayAnswer,
  type GatewayGateOptions,
  type IntentParameters,
  type NotAdmitted,
  type UnknownReason,
} from '../src/index.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const parameters = {} as IntentParameters
const well: GatewayAnswer = { kind: 'rejected', status: 404, errorCode: 'resource_missing', requestId: 'req' }
const unknown = (reason: UnknownReason): GatewayAnswer => ({
  ...{ kind: 'unknown', reason, status: null, replayed: false, requestId: null },
})

/** Without the bound of the one in packages/testing, which would count the time that these tests let pass. */
function createLatch() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open: () => open(), wait: () => opened }
}

/** A gate over a gateway that says what the test wants, and a list of what was sent to it. */
function gateOver(
  next: (sent: string) => GatewayAnswer | Promise<GatewayAnswer>,
  places = { requests: 3, recovery: 2 },
) {
  const sent: string[] = []
  const told: string[] = []
  const ask = async (request: string) => {
    sent.push(request)
    return next(request)
  }
  const isKnock = (id: string) => id === 'pi_seatbelt_knock'
  // What is asked about refunds and lists is answered by the same words as far as the gate looks at them.
  const gateway = {
    createIntent: () => ask('create'),
    confirmIntent: () => ask('confirm'),
    captureIntent: () => ask('capture'),
    cancelIntent: (id: string) => ask(isKnock(id) ? 'knock' : 'cancel'),
    retrieveIntent: () => ask('retrieve'),
    createRefund: () => ask('refund'),
    retrieveRefund: () => ask('retrieve refund'),
    listRefundsOf: () => ask('list refunds of'),
    listCharges: () => ask('list charges'),
    listRefunds: () => ask('list refunds'),
  } as unknown as Gateway
  const inFlight = { forRequests: 0, forRecovery: 0 }
  const metrics: GatewayGateOptions['metrics'] = {
    circuit: (state) => void told.push(state),
    inFlight: (entrance, effects) => void Object.assign(inFlight, { [entrance]: effects }),
    refused: (entrance, reason) => void told.push(`refused ${entrance} ${reason}`),
    skipped: () => void told.push('skipped'),
  }
  const gate = createGatewayGate({
    ...{ gateway, metrics, places: { forRequests: places.requests, forRecovery: places.recovery } },
    onAway: (trouble) => void told.push(`away: ${trouble}`),
    onBack: () => void told.push('back'),
  })
  const create = () => gate.gateway.createIntent(parameters, 'key')
  const enter = async (entrance: 'forRequests' | 'forRecovery' = 'forRequests') =>
    gate[entrance](async () => ({ kind: 'admitted' as const }))
  return { gate, create, enter, sent, told, inFlight }
}

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await work()
}

const circuitOpen = { kind: 'not-admitted', reason: 'circuit-open', retryAfterSeconds: 2 } satisfies NotAdmitted

describe('the circuit to the gateway', () => {
  it.each<[UnknownReason, 'opens' | 'stays closed']>([
    ['deadline', 'opens'],
    ['connection', 'opens'],
    ['not-sent', 'opens'],
    ['server-error', 'opens'],
    ['unreadable', 'opens'],
    ['rate-limited', 'opens'],
    ['key-in-use', 'stays closed'],
    ['key-reused', 'stays closed'],
    ['unauthorized', 'stays closed'],
    ['lease-over', 'stays closed'],
  ])('unknown for the reason %s: %s', async (reason, what) => {
    const { create, enter, told } = gateOver(() => unknown(reason))
    await times(10, create)
    expect(await enter()).toEqual(what === 'opens' ? circuitOpen : { kind: 'admitted' })
    expect(told.includes(`away: ${reason}`)).toBe(what === 'opens')
  })

  it('declines and refusals of a request are answers of a gateway that is well', async () => {
    const answers: GatewayAnswer[] = [{ kind: 'declined', declineCode: 'card_declined', requestId: 'req' }, well]
    const { create, enter } = gateOver((_) => answers[Math.floor(Math.random() * 2)] ?? well)
    await times(50, create)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('nine failures do not open it, nor do half of a thousand answers', async () => {
    const failing = gateOver(() => unknown('server-error'))
    await times(9, failing.create)
    expect(await failing.enter()).toEqual({ kind: 'admitted' })

    let asked = 0
    const half = gateOver(() => (asked++ % 2 === 0 ? unknown('server-error') : well))
    await times(1_000, half.create)
    expect(await half.enter()).toEqual({ kind: 'admitted' })
  })

  it('hands every answer on as it came, while it opens too, and throws what is thrown', async () => {
    const answers = Array.from({ length: 10 }, () => unknown('deadline'))
    const { gate, create } = gateOver(() => answers[asked++] ?? Promise.reject(new Error('a mistake of ours')))
    let asked = 0
    for (const answer of answers) expect(await create()).toBe(answer)
    await expect(gate.gateway.retrieveIntent('pi')).rejects.toThrow('a mistake of ours')
  })

  it('open: an effect under way begins nothing more, and still looks and cancels', async () => {
    const { gate, create, sent, told } = gateOver(() => unknown('deadline'))
    await times(10, create)
    sent.length = 0
    const { gateway } = gate
    const begun = [
      create(),
      gateway.confirmIntent('pi', parameters, 'key'),
      gateway.captureIntent('pi', 'key'),
      gateway.createRefund({} as never, 'key'),
    ]
    expect(await Promise.all(begun)).toEqual(begun.map(() => unknown('not-sent')))
    expect(sent).toEqual([])
    expect(told.filter((what) => what === 'skipped')).toHaveLength(begun.length)

    const finished = [
      gateway.cancelIntent('pi', 'key'),
      gateway.retrieveIntent('pi'),
      gateway.retrieveRefund('re'),
      gateway.listRefundsOf('pi'),
      gateway.listCharges({} as never),
      gateway.listRefunds({} as never),
    ]
    expect(await Promise.all(finished)).toEqual(finished.map(() => unknown('deadline')))
    expect(sent).toEqual(['cancel', 'retrieve', 'retrieve refund', 'list refunds of', 'list charges', 'list refunds'])
  })

  it('knocks one request at a time, every two seconds, and closes when one is answered, without any traffic', async () => {
    const answered = createLatch()
    let knocks = 0
    const { create, enter, sent, told } = gateOver(async (request) => {
      if (request !== 'knock') return unknown('deadline')
      if (++knocks === 1) return unknown('deadline')
      await answered.wait()
      return well
    })
    await times(10, create)
    sent.length = 0

    await vi.advanceTimersByTimeAsync(1_999)
    expect(sent).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(sent).toEqual(['knock'])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(sent).toEqual(['knock', 'knock'])
    // The second one hangs: nobody is admitted, and nobody knocks again, for as long as that takes.
    expect(await enter()).toMatchObject({ kind: 'not-admitted', reason: 'circuit-open', retryAfterSeconds: 1 })
    await create()
    answered.open()
    await vi.advanceTimersByTimeAsync(0)
    expect(await enter()).toEqual({ kind: 'admitted' })
    expect(sent).toEqual(['knock', 'knock'])
    expect(told.filter((what) => !what.startsWith('refused') && what !== 'skipped')).toEqual(
      'closed/away: deadline/open/half-open/open/half-open/back/closed'.split('/'),
    )
  })

  it('what was sent before it opened, and fails after it has closed, does not open it again', async () => {
    const deadline = createLatch()
    let isHanging = true
    const { create, enter, told } = gateOver(async (request) => {
      if (request === 'knock') return well
      if (isHanging) await deadline.wait()
      return unknown('deadline')
    })
    const hanging = Array.from({ length: 40 }, create)
    isHanging = false
    await times(10, create)
    expect(await enter()).toEqual(circuitOpen)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(told).toContain('back')
    deadline.open()
    await Promise.all(hanging)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('opens again when the gateway answers the knock and nothing else', async () => {
    const { create, enter, told } = gateOver((request) => (request === 'knock' ? well : unknown('server-error')))
    await times(10, create)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(told).toContain('back')
    await times(10, create)
    expect(await enter()).toEqual(circuitOpen)
  })

  it('nobody knocks after it was closed for good, not even when a knock was under way', async () => {
    const cut = createLatch()
    const { gate, create, sent } = gateOver(async (request) => {
      if (request === 'knock') await cut.wait()
      return unknown('connection')
    })
    await times(10, create)
    await vi.advanceTimersByTimeAsync(2_000)
    gate.close()
    cut.open()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent.filter((request) => request === 'knock')).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('the places at the gateway', () => {
  it('the surplus is refused at once and does not begin; whoever has a place keeps it to the end', async () => {
    const done = createLatch()
    const { gate, enter, told, inFlight } = gateOver(() => well)
    const work = () => done.wait().then(() => 'done' as const)
    const admitted = [1, 2, 3].map(() => gate.forRequests(work))
    expect(await enter()).toEqual({ kind: 'not-admitted', reason: 'full', retryAfterSeconds: 1 })
    expect(inFlight).toEqual({ forRequests: 3, forRecovery: 0 })
    expect(told).toContain('refused forRequests full')

    done.open()
    expect(await Promise.all(admitted)).toEqual(['done', 'done', 'done'])
    expect(inFlight.forRequests).toBe(0)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('requests take no place of recovery, and recovery none of requests', async () => {
    const done = createLatch()
    const { gate, enter } = gateOver(() => well)
    const full = async (entrance: 'forRequests' | 'forRecovery') => (await enter(entrance)).kind === 'not-admitted'
    const held = [1, 2, 3].map(() => gate.forRequests(() => done.wait()))
    expect([await full('forRequests'), await full('forRecovery')]).toEqual([true, false])
    held.push(...[1, 2].map(() => gate.forRecovery(() => done.wait())))
    expect([await full('forRequests'), await full('forRecovery')]).toEqual([true, true])
    done.open()
    await Promise.all(held)
  })

  it('a place whose work failed is free again', async () => {
    const { gate, enter, inFlight } = gateOver(() => well)
    const fail = () => gate.forRequests(() => Promise.reject(new Error('the database is away')))
    await times(5, () => expect(fail()).rejects.toThrow('the database is away'))
    expect(inFlight.forRequests).toBe(0)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('an effect that holds the last place is not refused anything half way', async () => {
    const { gate, create, sent } = gateOver(() => well, { requests: 1, recovery: 1 })
    const evidence = await gate.forRequests(async () => {
      await create()
      return gate.gateway.confirmIntent('pi', parameters, 'key')
    })
    expect(evidence).toBe(well)
    expect(sent).toEqual(['create', 'confirm'])
  })
})
