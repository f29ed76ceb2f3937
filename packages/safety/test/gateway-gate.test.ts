import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type CustomerMetadata,
  createGatewayGate,
  type Gateway,
  type GatewayAnswer,
  type GatewayClaim,
  type GatewayGate,
  type GatewayStop,
  type IntentParameters,
  type NotAdmitted,
  type RefundParameters,
  type RefusedPart,
  type UnknownReason,
} from '../src/index.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const well: GatewayAnswer = {
  kind: 'rejected',
  status: 404,
  errorCode: 'resource_missing',
  about: 'state',
  message: null,
  requestId: 'req',
}
const unknown = (reason: UnknownReason): GatewayAnswer => ({
  ...{ kind: 'unknown', reason, status: null, replayed: false, requestId: null },
})
const parametersOf = (accountId: string) =>
  ({ metadata: { paymentId: 'payment', orderId: 'order', accountId } }) as IntentParameters
const parameters = parametersOf('a')
const refundOf = (accountId: string) =>
  ({ intentId: 'pi', amountMinor: 1, metadata: { refundId: 'refund', orderId: 'order', accountId } }) as const

const customerOf = (accountId: string): CustomerMetadata => ({ accountId, customerId: 'customer-1' })

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
  slots = { requests: 6, recovery: 2 },
) {
  const sent: string[] = []
  const told: string[] = []
  const ask = async (request: string) => {
    sent.push(request)
    return next(request)
  }
  const aboutIntent = (request: string) => (id: string) =>
    ask(id === 'pi_seatbelt_knock' ? `knock: ${request}` : request)
  // What is asked about refunds and lists is answered by the same words as far as the gate looks at them.
  const gateway = {
    createIntent: ({ amountMinor, metadata }: IntentParameters) =>
      ask(amountMinor === 0 ? `knock: create of ${metadata.accountId}` : 'create'),
    confirmIntent: aboutIntent('confirm'),
    captureIntent: aboutIntent('capture'),
    cancelIntent: aboutIntent('cancel'),
    retrieveIntent: aboutIntent('retrieve'),
    createRefund: ({ intentId, metadata }: RefundParameters) =>
      ask(intentId === 'pi_seatbelt_knock' ? `knock: refund of ${metadata.accountId}` : 'refund'),
    retrieveRefund: () => ask('retrieve refund'),
    createCustomer: ({ accountId, customerId }: CustomerMetadata) =>
      ask(customerId.length > 500 ? `knock: create customer of ${accountId}` : 'create customer'),
    retrieveCustomer: (id: string, accountId: string) =>
      ask(id === 'pi_seatbelt_knock' ? `knock: retrieve customer of ${accountId}` : 'retrieve customer'),
    listRefundsOf: () => ask('list refunds of'),
    listCharges: () => ask('list charges'),
    listRefunds: () => ask('list refunds'),
  } as unknown as Gateway
  const inFlight = { forRequests: 0, forRecovery: 0 }
  let stopped: string[] = []
  const inWords = ({ operation, accountId, cause }: GatewayStop) =>
    accountId === null ? `${operation}: ${cause}` : `${operation} of ${accountId}: ${cause}`
  const gate = createGatewayGate({
    gateway,
    slots: { forRequests: slots.requests, forRecovery: slots.recovery },
    metrics: {
      stopped: (stops) => {
        stopped = stops.map(inWords)
      },
      inFlight: (entrance, effects) => void Object.assign(inFlight, { [entrance]: effects }),
      refused: (entrance, reason) => void told.push(`refused ${entrance} ${reason}`),
      skipped: () => void told.push('skipped'),
      rejected: (request) => void told.push(`rejected ${request}`),
    },
    onStop: (stop) => void told.push(`stop ${inWords(stop)}`),
    onResume: (stop) => void told.push(`resume ${inWords(stop)}`),
    onRejected: ({ request, subject, message }) => void told.push(`refused our ${request} of ${subject}: ${message}`),
  })
  const create = () => gate.gateway.createIntent(parameters, 'key')
  const enter = async (
    entrance: 'forRequests' | 'forRecovery' = 'forRequests',
    claim: GatewayClaim = { accountId: 'a', operation: 'pay' },
  ) => gate[entrance](claim, async () => ({ kind: 'admitted' as const }))
  return { gate, create, enter, sent, told, inFlight, stopped: () => stopped }
}

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await work()
}

const stopped = { kind: 'not-admitted', reason: 'stopped', retryAfterSeconds: 2 } satisfies NotAdmitted

describe('a gateway that does not answer', () => {
  it.each<[UnknownReason, 'stops' | 'goes on']>([
    ['deadline', 'stops'],
    ['connection', 'stops'],
    ['not-sent', 'stops'],
    ['server-error', 'stops'],
    ['unreadable', 'stops'],
    ['rate-limited', 'stops'],
    ['key-in-use', 'goes on'],
    ['key-reused', 'goes on'],
  ])('unknown for the reason %s: %s', async (reason, what) => {
    const { create, enter, told } = gateOver(() => unknown(reason))
    await times(10, create)
    expect(await enter()).toEqual(what === 'stops' ? stopped : { kind: 'admitted' })
    expect(told.includes(`stop everything: ${reason}`)).toBe(what === 'stops')
  })

  it('declines and refusals of a request are answers of a gateway that is well', async () => {
    const answers: GatewayAnswer[] = [{ kind: 'declined', declineCode: 'card_declined', requestId: 'req' }, well]
    const { create, enter } = gateOver((_) => answers[Math.floor(Math.random() * 2)] ?? well)
    await times(50, create)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('is not stopped by nine failures, nor by half of a thousand answers', async () => {
    const failing = gateOver(() => unknown('server-error'))
    await times(9, failing.create)
    expect(await failing.enter()).toEqual({ kind: 'admitted' })

    let asked = 0
    const half = gateOver(() => (asked++ % 2 === 0 ? unknown('server-error') : well))
    await times(1_000, half.create)
    expect(await half.enter()).toEqual({ kind: 'admitted' })
  })

  it('hands every answer on as it came, also the one that stops it, and throws what is thrown', async () => {
    const answers = Array.from({ length: 10 }, () => unknown('deadline'))
    const { gate, create } = gateOver(() => answers[asked++] ?? Promise.reject(new Error('a mistake of ours')))
    let asked = 0
    for (const answer of answers) expect(await create()).toBe(answer)
    await expect(gate.gateway.retrieveIntent('pi')).rejects.toThrow('a mistake of ours')
  })

  it('stopped: an effect under way begins nothing more, and still looks and cancels', async () => {
    const { gate, create, sent, told } = gateOver(() => unknown('deadline'))
    await times(10, create)
    sent.length = 0
    const { gateway } = gate
    const begun = [
      create(),
      gateway.confirmIntent('pi', parameters, 'key'),
      gateway.captureIntent('pi', 'key', 'a'),
      gateway.createRefund(refundOf('a'), 'key'),
    ]
    expect(await Promise.all(begun)).toEqual(begun.map(() => unknown('not-sent')))
    expect(sent).toEqual([])
    expect(told.filter((what) => what === 'skipped')).toHaveLength(begun.length)

    const finished = [
      gateway.cancelIntent('pi', 'key', 'a'),
      gateway.retrieveIntent('pi'),
      gateway.retrieveRefund('re'),
      gateway.listRefundsOf('pi'),
      gateway.listCharges({} as never),
      gateway.listRefunds({} as never),
    ]
    expect(await Promise.all(finished)).toEqual(finished.map(() => unknown('deadline')))
    expect(sent).toEqual(['cancel', 'retrieve', 'retrieve refund', 'list refunds of', 'list charges', 'list refunds'])
  })

  it('is probed every two seconds, one request at a time, and goes on when one is answered', async () => {
    const answered = createLatch()
    let knocks = 0
    const { create, enter, sent, told, stopped } = gateOver(async (request) => {
      if (!request.startsWith('knock')) return unknown('deadline')
      if (++knocks === 1) return unknown('deadline')
      await answered.wait()
      return well
    })
    await times(10, create)
    sent.length = 0

    await vi.advanceTimersByTimeAsync(1_999)
    expect(sent).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(sent).toEqual(['knock: create of '])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(sent).toHaveLength(2)
    // The second one hangs: nobody is admitted, and nobody knocks again, for as long as that takes.
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await enter()).toMatchObject({ kind: 'not-admitted', reason: 'stopped', retryAfterSeconds: 1 })
    await create()
    expect(stopped()).toEqual(['everything: deadline'])
    answered.open()
    await vi.advanceTimersByTimeAsync(0)
    expect(await enter()).toEqual({ kind: 'admitted' })
    expect(sent).toHaveLength(2)
    expect(stopped()).toEqual([])
    expect(told.filter((what) => !what.startsWith('refused') && what !== 'skipped')).toEqual([
      'stop everything: deadline',
      'resume everything: deadline',
    ])
  })

  it('is probed by a write, if only a look failed last', async () => {
    const { gate, sent } = gateOver(() => unknown('deadline'))
    await times(10, () => gate.gateway.retrieveIntent('pi'))
    await vi.advanceTimersByTimeAsync(2_000)
    expect(sent.at(-1)).toBe('knock: cancel')
  })

  it('is not stopped again by what was sent before it stopped, and fails after it went on', async () => {
    const deadline = createLatch()
    let isHanging = true
    const { create, enter, told } = gateOver(async (request) => {
      if (request.startsWith('knock')) return well
      if (isHanging) await deadline.wait()
      return unknown('deadline')
    })
    const hanging = Array.from({ length: 40 }, create)
    isHanging = false
    await times(10, create)
    expect(await enter()).toEqual(stopped)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(told).toContain('resume everything: deadline')
    deadline.open()
    await Promise.all(hanging)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('is stopped again, when it answers the probe and nothing else', async () => {
    const { create, enter } = gateOver((request) => (request.startsWith('knock') ? well : unknown('server-error')))
    await times(10, create)
    await vi.advanceTimersByTimeAsync(2_000)
    await times(9, create)
    expect(await enter()).toEqual({ kind: 'admitted' })
    await create()
    expect(await enter()).toEqual(stopped)
  })

  it('is probed no more after the gate was closed, not even when a probe was under way', async () => {
    const cut = createLatch()
    const { gate, create, sent } = gateOver(async (request) => {
      if (request.startsWith('knock')) await cut.wait()
      return unknown('connection')
    })
    await times(10, create)
    await vi.advanceTimersByTimeAsync(2_000)
    gate.close()
    cut.open()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent.filter((request) => request.startsWith('knock'))).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a gateway that does not accept our key', () => {
  it('401: one stops everything at once, and the probe repeats the kind of request that failed', async () => {
    let isRevoked = true
    const { create, enter, sent, told, stopped: stops } = gateOver(() => (isRevoked ? unknown('unauthorized') : well))
    await create()
    expect(await enter()).toEqual(stopped)
    expect(await enter('forRecovery')).toEqual(stopped)
    expect(stops()).toEqual(['everything: unauthorized'])
    await vi.advanceTimersByTimeAsync(4_000)
    expect(sent).toEqual(['create', 'knock: create of ', 'knock: create of '])
    isRevoked = false
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await enter()).toEqual({ kind: 'admitted' })
    expect(told.filter((what) => !what.startsWith('refused'))).toEqual([
      'stop everything: unauthorized',
      'resume everything: unauthorized',
    ])
  })

  it('401 to the probe of a gateway that was away: reports the new cause', async () => {
    const {
      create,
      told,
      stopped: stops,
    } = gateOver((request) => unknown(request.startsWith('knock') ? 'unauthorized' : 'deadline'))
    await times(10, create)
    await vi.advanceTimersByTimeAsync(4_000)
    expect(stops()).toEqual(['everything: unauthorized'])
    expect(told).toEqual(['stop everything: deadline', 'stop everything: unauthorized'])
  })

  it.each([
    ['pay', 'create of a', (gateway: Gateway) => gateway.createIntent(parameters, 'key')],
    ['pay', 'confirm', (gateway: Gateway) => gateway.confirmIntent('pi', parameters, 'key')],
    ['capture', 'capture', (gateway: Gateway) => gateway.captureIntent('pi', 'key', 'a')],
    ['void', 'cancel', (gateway: Gateway) => gateway.cancelIntent('pi', 'key', 'a')],
    ['refund', 'refund of a', (gateway: Gateway) => gateway.createRefund(refundOf('a'), 'key')],
    ['customer', 'create customer of a', (gateway: Gateway) => gateway.createCustomer(customerOf('a'), 'key')],
    ['customer', 'retrieve customer of a', (gateway: Gateway) => gateway.retrieveCustomer('cus', 'a')],
  ] as const)(
    '403: stops each %s of the account and nothing else, and is probed by a %s',
    async (operation, probe, ask) => {
      let isForbidden = true
      const { gate, enter, sent, told, stopped: stops } = gateOver(() => (isForbidden ? unknown('forbidden') : well))
      await ask(gate.gateway)
      for (const accountId of ['a', 'b'])
        for (const each of ['pay', 'capture', 'void', 'refund', 'customer'] as const)
          for (const entrance of ['forRequests', 'forRecovery'] as const)
            expect(await enter(entrance, { accountId, operation: each })).toMatchObject(
              accountId === 'a' && each === operation ? { reason: 'forbidden' } : { kind: 'admitted' },
            )
      // What was claimed before goes on: recovery asks by itself whether it is allowed by now.
      expect(await gate.forRecovery(null, async () => 'looked')).toBe('looked')
      expect(stops()).toEqual([`${operation} of a: forbidden`])
      await vi.advanceTimersByTimeAsync(2_000)
      expect(sent.at(-1)).toBe(`knock: ${probe}`)
      expect(stops()).toEqual([`${operation} of a: forbidden`])
      isForbidden = false
      await vi.advanceTimersByTimeAsync(2_000)
      expect(await enter('forRequests', { accountId: 'a', operation })).toEqual({ kind: 'admitted' })
      expect(told).toContain(`resume ${operation} of a: forbidden`)
    },
  )

  it('403 to a look stops no claim, and shows', async () => {
    const { gate, enter, stopped: stops } = gateOver(() => unknown('forbidden'))
    await gate.gateway.retrieveIntent('pi')
    expect(await enter()).toEqual({ kind: 'admitted' })
    expect(stops()).toEqual(['look: forbidden'])
  })

  it('a key without a permission costs one probe in two seconds, and once repaired frees all accounts', async () => {
    let isForbidden = true
    const { gate, sent, stopped: stops } = gateOver(() => (isForbidden ? unknown('forbidden') : well))
    const accounts = Array.from({ length: 50 }, (_, place) => `account-${place}`)
    for (const accountId of accounts) await gate.gateway.createIntent(parametersOf(accountId), 'key')
    sent.length = 0
    await vi.advanceTimersByTimeAsync(6_000)
    expect(sent).toEqual(['account-0', 'account-1', 'account-2'].map((id) => `knock: create of ${id}`))
    isForbidden = false
    await vi.advanceTimersByTimeAsync(2_000)
    expect(stops()).toEqual([])
  })

  it('401 to the probe of one account stops everything', async () => {
    const { create, enter } = gateOver((request) => unknown(request.startsWith('knock') ? 'unauthorized' : 'forbidden'))
    await create()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await enter('forRequests', { accountId: 'b', operation: 'refund' })).toEqual(stopped)
  })
})

describe('a request of ours that the gateway rejects', () => {
  const rejected = (about: RefusedPart): GatewayAnswer => ({
    kind: 'rejected',
    status: 400,
    errorCode: 'parameter_unknown',
    about,
    message: 'Received unknown parameter: x',
    requestId: 'req',
  })

  it('is reported with its subject and the words of the gateway, and stops nothing', async () => {
    const { gate, create, enter, told } = gateOver(() => rejected('request'))
    await create()
    await gate.gateway.captureIntent('pi', 'key', 'a')
    expect(told).toEqual([
      'rejected create',
      'refused our create of payment: Received unknown parameter: x',
      'rejected capture',
      'refused our capture of pi: Received unknown parameter: x',
    ])
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it.each(['payment-method', 'state'] as const)('is not reported where it is about the %s', async (about) => {
    const { create, told } = gateOver(() => rejected(about))
    await create()
    expect(told).toEqual([])
  })

  it('is not reported for a probe, which is made to be rejected', async () => {
    const { create, told } = gateOver((request) =>
      request === 'create' ? unknown('unauthorized') : rejected('request'),
    )
    await create()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(told).toEqual(['stop everything: unauthorized', 'resume everything: unauthorized'])
  })
})

describe('the slots at the gateway', () => {
  const claimOf = (accountId: string): GatewayClaim => ({ accountId, operation: 'pay' })

  /** Work that holds its slot until the test ends it; how many of so many were admitted. */
  function holder(gate: GatewayGate) {
    const done = createLatch()
    const held: Promise<unknown>[] = []
    const hold = async (count: number, work: (hold: () => Promise<'done'>) => Promise<unknown>) => {
      let admitted = 0
      for (let tries = 0; tries < count; tries++) {
        const holding = work(() => {
          admitted += 1
          return done.wait().then(() => 'done' as const)
        })
        held.push(holding)
        await Promise.resolve()
      }
      return admitted
    }
    return {
      requests: (accountId: string, count: number) => hold(count, (work) => gate.forRequests(claimOf(accountId), work)),
      recovery: (count: number) => hold(count, (work) => gate.forRecovery(null, work)),
      end: async () => {
        done.open()
        return Promise.all(held)
      },
    }
  }

  it('are refused to the surplus at once, which does not begin; admitted work keeps its slot to the end', async () => {
    const { gate, enter, told, inFlight } = gateOver(() => well)
    const holding = holder(gate)
    expect(await holding.requests('a', 10)).toBe(4)
    expect(await enter()).toEqual({ kind: 'not-admitted', reason: 'full', retryAfterSeconds: 1 })
    expect(inFlight).toEqual({ forRequests: 4, forRecovery: 0 })
    expect(told).toContain('refused forRequests full')
    expect((await holding.end()).slice(0, 4)).toEqual(['done', 'done', 'done', 'done'])
    expect(inFlight.forRequests).toBe(0)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('an account alone has two thirds of them, and a second and a third account find theirs', async () => {
    const { gate } = gateOver(() => well, { requests: 150, recovery: 1 })
    const holding = holder(gate)
    expect(await holding.requests('a', 500)).toBe(100)
    expect(await holding.requests('b', 500)).toBe(34)
    expect(await holding.requests('c', 500)).toBe(11)
    expect(await holding.requests('a', 500)).toBe(0)
    expect(await holding.requests('d', 1)).toBe(1)
    await holding.end()
  })

  it('the control: undivided, one account takes them all', async () => {
    const { gate } = gateOver(() => well, { requests: 1, recovery: 150 })
    const holding = holder(gate)
    expect(await holding.recovery(500)).toBe(150)
    await holding.end()
  })

  it('after a rush the shares are even: a slot goes to the account with fewer', async () => {
    const { gate } = gateOver(() => well, { requests: 9, recovery: 1 })
    const [first, second] = [holder(gate), holder(gate)]
    expect(await first.requests('a', 9)).toBe(6)
    expect(await second.requests('b', 9)).toBe(2)
    await first.end()
    expect(await second.requests('b', 9)).toBe(4)
    await second.end()
  })

  it('are separate: requests take none of recovery, and recovery none of requests', async () => {
    const { gate, enter } = gateOver(() => well)
    const full = async (entrance: 'forRequests' | 'forRecovery') => (await enter(entrance)).kind === 'not-admitted'
    const holding = holder(gate)
    await holding.requests('a', 6)
    expect([await full('forRequests'), await full('forRecovery')]).toEqual([true, false])
    expect(await holding.recovery(3)).toBe(2)
    expect([await full('forRequests'), await full('forRecovery')]).toEqual([true, true])
    await holding.end()
  })

  it('are free again after work that failed', async () => {
    const { gate, enter, inFlight } = gateOver(() => well)
    const fail = () => gate.forRequests(claimOf('a'), () => Promise.reject(new Error('the database is away')))
    await times(9, () => expect(fail()).rejects.toThrow('the database is away'))
    expect(inFlight.forRequests).toBe(0)
    expect(await enter()).toEqual({ kind: 'admitted' })
  })

  it('an effect that holds the last one is not refused anything half way', async () => {
    const { gate, create, sent } = gateOver(() => well, { requests: 1, recovery: 1 })
    const evidence = await gate.forRequests(claimOf('a'), async () => {
      await create()
      return gate.gateway.confirmIntent('pi', parameters, 'key')
    })
    expect(evidence).toBe(well)
    expect(sent).toEqual(['create', 'confirm'])
  })
})
