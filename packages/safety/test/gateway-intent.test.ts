import type { Database, Tx } from '@seatbelt/database'
import type { Decline, PaymentGoal } from '@seatbelt/domain'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeNoAnswer } from '../src/gateway-protocol/no-answer.ts'
import {
  type ClaimedPayment,
  type CompareAndSet,
  compareAndSet,
  createGatewayIntentLayer,
  type Evidence,
  type GatewayAnswer,
  type GatewayIntent,
  type IntentGateway,
  type IntentParameters,
  maxGatewayRequests,
  type UnknownReason,
} from '../src/index.ts'

/** Layer 6 against every gateway that there could be: whatever it answers, these hold. */

const parameters: IntentParameters = {
  ...{ amountMinor: 4_200, currency: 'EUR', paymentMethod: 'pm' },
  metadata: { paymentId: 'payment', orderId: 'order', accountId: 'account' },
}

const statuses = [
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
  'processing',
  'requires_capture',
  'succeeded',
  'canceled',
] as const

const reasons: UnknownReason[] = [
  'deadline',
  'not-sent',
  'connection',
  'server-error',
  'unreadable',
  'key-in-use',
  'key-reused',
  'rate-limited',
  'unauthorized',
]

/** Of those that are answers. */
const statusOf: Partial<Record<UnknownReason, number>> = {
  ...{ 'server-error': 500, unreadable: 200, 'key-in-use': 409, 'key-reused': 400 },
  ...{ 'rate-limited': 429, unauthorized: 401 },
}

const intent = (overrides: Partial<GatewayIntent>): GatewayIntent => ({
  ...{ id: 'pi', status: 'requires_confirmation', amountMinor: 4_200, receivedMinor: 0, currency: 'EUR' },
  ...{ chargeId: null, declineCode: null, metadata: parameters.metadata },
  ...overrides,
})

const usual = (status: GatewayIntent['status']) =>
  status === 'succeeded' ? intent({ status, receivedMinor: 4_200, chargeId: 'ch' }) : intent({ status })

const anyIntent = fc
  .record({
    status: fc.constantFrom(...statuses),
    declineCode: fc.constantFrom(null, 'insufficient_funds'),
    amountMinor: fc.constantFrom(4_200, 4_200, 4_200, 1),
    receivedMinor: fc.constantFrom(4_200, 4_200, 4_199, 0),
    hasCharge: fc.constantFrom(true, true, false),
  })
  .map(({ hasCharge, ...rest }) =>
    intent({ ...rest, chargeId: rest.status === 'succeeded' && hasCharge ? 'ch' : null }),
  )

const answerWith = (it: GatewayIntent): GatewayAnswer => ({ kind: 'intent', intent: it, requestId: 'req' })
const deadline: GatewayAnswer = {
  ...{ kind: 'unknown', reason: 'deadline' },
  ...{ status: null, replayed: false, requestId: null },
}

/** The one kind of refusal that says that a hold is over; the others may be about us. */
const finalRefusals = ['charge_expired_for_capture', 'capture_charge_authorization_expired']
const errorCodes = [...finalRefusals, 'unexpected_state', 'parameter_unknown']

/** `usual`: as on a day without trouble. Half of all answers are, so that runs get far enough to go wrong at each step. */
type Scripted = GatewayAnswer | 'usual'

const anyAnswer = fc.oneof(
  { arbitrary: fc.constant('usual'), weight: 4 },
  anyIntent.map(answerWith),
  fc.constant({ kind: 'declined', declineCode: 'card_declined', requestId: 'req' }),
  {
    arbitrary: fc.constantFrom(...errorCodes).map((errorCode) => ({
      ...{ kind: 'rejected', status: 400 },
      ...{ errorCode, requestId: 'req' },
    })),
    weight: 2,
  },
  fc.constantFrom(...reasons).map((reason) => ({ ...deadline, reason, status: statusOf[reason] ?? null })),
) as fc.Arbitrary<Scripted>

interface ClaimedState {
  readonly goal: PaymentGoal
  readonly isFirstOwner: boolean
  readonly isStored: boolean
  readonly wanted: boolean
  readonly notedDecline: Decline | null
}

/** As payments can be in the books: a step's first owner has asked for nothing yet, and what is on hold has an intent. */
const anyPayment: fc.Arbitrary<ClaimedState> = fc
  .record({
    goal: fc.constantFrom<PaymentGoal>('charge', 'authorize', 'capture', 'void'),
    isFirstOwner: fc.boolean(),
    isStored: fc.boolean(),
    wanted: fc.boolean(),
    notedDecline: fc.constantFrom<Decline | null>(
      null,
      { declineCode: 'insufficient_funds', declinedBy: 'bank' },
      { declineCode: 'resource_missing', declinedBy: 'gateway' },
    ),
  })
  .map(({ goal, isFirstOwner, ...drawn }) => {
    const hasHold = goal === 'capture' || goal === 'void'
    const isStored = hasHold || (!isFirstOwner && drawn.isStored)
    const wanted = hasHold || isFirstOwner || drawn.wanted
    const notedDecline = !isFirstOwner && isStored ? drawn.notedDecline : null
    return { goal, isFirstOwner, isStored, wanted, notedDecline }
  })

interface Request {
  readonly name: 'create' | 'confirm' | 'capture' | 'cancel' | 'retrieve'
  readonly key: string | null
  readonly answer: GatewayAnswer
}

interface Run {
  readonly evidence: Evidence
  readonly requests: readonly Request[]
  readonly stored: string | null
  readonly notedDecline: Decline | null
  readonly raised: readonly string[]
}

interface World {
  readonly payment: ClaimedState
  readonly answers: readonly Scripted[]
  /** After so many writes another owner has taken over. */
  readonly deposedAfter: number
  /** So many requests fit into the lease. */
  readonly leaseAllows: number
}

const attempts = { create: 1, confirm: 2, capture: 3, cancel: 4 }

function usualStatus(asked: Request['name'], goal: PaymentGoal): GatewayIntent['status'] {
  switch (asked) {
    case 'create':
      return 'requires_confirmation'
    case 'confirm':
      return goal === 'authorize' ? 'requires_capture' : 'succeeded'
    case 'capture':
      return 'succeeded'
    case 'cancel':
      return 'canceled'
    case 'retrieve':
      return goal === 'capture' || goal === 'void' ? 'requires_capture' : 'requires_confirmation'
    default:
      return asked satisfies never
  }
}

async function run({ payment, answers, deposedAfter, leaseAllows }: World): Promise<Run> {
  const requests: Request[] = []
  const raised: string[] = []
  let stored = payment.isStored ? 'pi' : null
  let notedDecline: Decline | null = null
  let writes = 0
  const write = (effect: () => void) => {
    if (writes++ >= deposedAfter) return Promise.resolve(false)
    effect()
    return Promise.resolve(true)
  }
  const memory: CompareAndSet = {
    ...compareAndSet,
    storeIntent: (_, __, id) =>
      write(() => {
        stored = id
      }),
    noteDecline: (_, __, decline) =>
      write(() => {
        notedDecline = decline
      }),
    raiseAttempt: (_, __, request) => write(() => raised.push(request)),
  }
  const answer = (name: Request['name'], key: string | null) => {
    const scripted = answers[requests.length] ?? deadline
    const next = scripted === 'usual' ? answerWith(usual(usualStatus(name, payment.goal))) : scripted
    requests.push({ name, key, answer: next })
    return Promise.resolve(next)
  }
  const onlyStored = (id: string, name: Request['name'], key: string) => {
    expect(id, `only the stored intent: ${name}`).toBe(stored)
    return answer(name, key)
  }
  const gateway: IntentGateway = {
    createIntent: (_, key) => answer('create', key),
    confirmIntent: (id, _, key) => onlyStored(id, 'confirm', key),
    captureIntent: (id, key) => onlyStored(id, 'capture', key),
    cancelIntent: (id, key) => onlyStored(id, 'cancel', key),
    retrieveIntent: () => answer('retrieve', null),
  }
  const { goal, isFirstOwner, wanted } = payment
  const claimed: ClaimedPayment = {
    ...{ id: 'payment', generation: 1, gatewayIntentId: stored, intentParameters: parameters, attempts },
    ...{ goal, isFirstOwner, wanted, notedDecline: payment.notedDecline },
  }
  const database = { statement: (work: (tx: Tx) => unknown) => work({} as Tx) } as unknown as Database
  const layer = createGatewayIntentLayer({ gateway, database, compareAndSet: memory, by: 'test' })
  const evidence = await layer(claimed, { allowsRequest: () => requests.length < leaseAllows })
  return { evidence, requests, stored, notedDecline, raised }
}

const anyWorld: fc.Arbitrary<World> = fc.record({
  payment: anyPayment,
  answers: fc.array(anyAnswer, { minLength: maxGatewayRequests, maxLength: maxGatewayRequests }),
  deposedAfter: fc.constantFrom(0, 1, 2, 99, 99),
  leaseAllows: fc.constantFrom(0, 1, 2, 3, 99, 99),
})

const showed = (requests: readonly Request[], status: GatewayIntent['status']) =>
  requests.some(({ answer }) => answer.kind === 'intent' && answer.intent.status === status)

/** Runs so many worlds, and holds that the claim was about fifty of them at least: three times as many is usual. `claim` says whether it was. */
async function always(numRuns: number, claim: (world: World, run: Run) => boolean): Promise<void> {
  let checked = 0
  await fc.assert(
    fc.asyncProperty(anyWorld, async (world) => {
      if (claim(world, await run(world))) checked++
    }),
    { numRuns },
  )
  expect(checked).toBeGreaterThan(50)
}

function isBanksWord(answer: GatewayAnswer): boolean {
  if (answer.kind !== 'intent') return answer.kind === 'declined'
  const { status, declineCode } = answer.intent
  return status === 'requires_action' || (status === 'requires_payment_method' && declineCode !== null)
}

const outcomeOf = ({ evidence }: Run) => (evidence.kind === 'outcome' ? evidence.outcome : null)

describe('layer 6, whatever the gateway answers', () => {
  it('calls a payment declined, cancelled or voided only when its intent was seen cancelled, or none was ever stored', async () => {
    await always(4_000, (_, ran) => {
      const { evidence, requests, stored } = ran
      if (evidence.kind !== 'outcome' || /succeeded|authorized/.test(evidence.outcome.state)) return false
      if (evidence.fenced) expect(showed(requests, 'canceled')).toBe(true)
      else expect(stored).toBeNull()
      return true
    })
  })

  it('calls it voided where there was a hold, and declined or cancelled where there was none yet', async () => {
    await always(4_000, ({ payment }, ran) => {
      const outcome = outcomeOf(ran)
      if (outcome === null || /succeeded|authorized/.test(outcome.state)) return false
      const hadHold = payment.goal === 'capture' || payment.goal === 'void'
      expect(outcome.state).toMatch(hadHold ? /^voided$/ : /^(declined|cancelled)$/)
      return true
    })
  })

  it('says that it was the bank which declined only where a bank did: the refusal of a request says nothing of a card', async () => {
    await always(12_000, ({ payment }, ran) => {
      const outcome = outcomeOf(ran)
      if (outcome?.state !== 'declined') return false
      const noted = payment.notedDecline?.declinedBy === 'bank'
      if (noted || ran.requests.some(({ answer }) => isBanksWord(answer))) return false
      expect(outcome.declinedBy).toBe('gateway')
      return true
    })
  })

  it('calls a payment succeeded only when its intent was seen succeeded, with its charge, and all of its amount taken', async () => {
    await always(4_000, (_, ran) => {
      if (outcomeOf(ran)?.state !== 'succeeded') return false
      const proof = { status: 'succeeded', amountMinor: 4_200, receivedMinor: 4_200, chargeId: 'ch' } as const
      expect(ran.requests.map(({ answer }) => (answer.kind === 'intent' ? answer.intent : null))).toContainEqual(
        expect.objectContaining(proof),
      )
      return true
    })
  })

  it('calls a payment authorized only when that is what is wanted, and its intent was seen on hold', async () => {
    await always(12_000, ({ payment }, ran) => {
      if (outcomeOf(ran)?.state !== 'authorized') return false
      expect(payment).toMatchObject({ goal: 'authorize', wanted: true })
      expect(showed(ran.requests, 'requires_capture')).toBe(true)
      expect(ran.requests.map(({ name }) => name)).not.toContain('cancel')
      return true
    })
  })

  it('asks for money only for a payment that is about it: a confirm until there is a hold, a capture to take it', async () => {
    await always(4_000, ({ payment: { goal, wanted } }, { requests }) => {
      const count = (asked: Request['name']) => requests.filter(({ name }) => name === asked).length
      expect(count('confirm')).toBeLessThanOrEqual(wanted && (goal === 'charge' || goal === 'authorize') ? 1 : 0)
      expect(count('capture')).toBeLessThanOrEqual(goal === 'capture' ? 1 : 0)
      expect(count('cancel')).toBeLessThanOrEqual(1)
      return count('confirm') + count('capture') > 0
    })
  })

  it('captures only what it has just seen on hold, unless it is the owner that claimed the capture', async () => {
    await always(4_000, ({ payment }, { requests }) => {
      const captureAt = requests.findIndex(({ name }) => name === 'capture')
      if (captureAt < 0) return false
      if (payment.isFirstOwner) expect(captureAt).toBe(0)
      else expect(requests[captureAt - 1]?.answer).toMatchObject({ intent: { status: 'requires_capture' } })
      return true
    })
  })

  it('gives a hold back only for what says that it is over: another refusal of the capture leaves it', async () => {
    await always(24_000, (_, ran) => {
      const capture = ran.requests.find(({ name }) => name === 'capture')
      if (!capture || capture.answer.kind === 'intent' || isFinalRefusal(capture.answer)) return false
      const [look, ...more] = ran.requests.slice(ran.requests.indexOf(capture) + 1)
      if (look?.answer.kind !== 'intent' || look.answer.intent.status !== 'requires_capture') return false
      if (look.answer.intent.amountMinor !== 4_200) return false
      expect([ran.evidence.kind, more]).toEqual(['unknown', []])
      return true
    })
  })

  it('asks for a capture that was refused and had no effect under the next key: the gateway repeats a refusal for a day', async () => {
    await always(24_000, (world, ran) => {
      const capture = ran.requests.find(({ name }) => name === 'capture')
      if (capture?.answer.kind !== 'rejected' || isFinalRefusal(capture.answer) || world.deposedAfter === 0)
        return false
      const [look] = ran.requests.slice(ran.requests.indexOf(capture) + 1)
      if (look?.answer.kind !== 'intent' || look.answer.intent.status !== 'requires_capture') return false
      if (look.answer.intent.amountMinor !== 4_200) return false
      expect(ran.raised).toEqual(['capture'])
      return true
    })
  })

  it('says that the gateway answered wherever there was a status, so that a person hears of what is refused for ever', async () => {
    await always(12_000, (_, { evidence, requests }) => {
      const { answer } = requests.at(-1) ?? {}
      if (evidence.kind !== 'unknown' || answer?.kind !== 'unknown' || evidence.reason !== describeNoAnswer(answer))
        return false
      expect(evidence.readable).toBe(answer.status !== null)
      return answer.status !== null
    })
  })

  it('tells why the gateway refused to capture, also where the gateway has let go of the hold by itself', async () => {
    await always(60_000, (_, ran) => {
      const capture = ran.requests.find(({ name }) => name === 'capture')
      const outcome = outcomeOf(ran)
      if (!capture || outcome?.state !== 'voided' || !isFinalRefusal(capture.answer)) return false
      const { answer } = capture
      expect(outcome.declineCode).toBe(answer.kind === 'rejected' ? answer.errorCode : 'card_declined')
      return true
    })
  })

  it('sends a bounded number of requests, and none without time in its lease', async () => {
    let most = 0
    await always(8_000, (world, { requests }) => {
      expect(requests.length).toBeLessThanOrEqual(Math.min(maxGatewayRequests, world.leaseAllows))
      most = Math.max(most, requests.length)
      return true
    })
    // Otherwise the lease would be longer than it must be.
    expect(most).toBe(maxGatewayRequests)
  })

  it('looks before it asks, unless it is the first owner', async () => {
    await always(2_000, ({ payment: { isFirstOwner, isStored, goal } }, { requests }) => {
      const first = requests[0]?.name
      if (!first) return false
      if (!isStored) expect(first).toBe('create')
      else if (!isFirstOwner) expect(first).toBe('retrieve')
      else expect(first).toBe(goal === 'capture' ? 'capture' : 'cancel')
      return true
    })
  })

  it('never throws away a decline: it is noted before the cancel that makes the gateway forget it', async () => {
    await always(20_000, (_, { requests, notedDecline }) => {
      const cancelAt = requests.findIndex(({ name }) => name === 'cancel')
      const wasDeclined = requests.slice(0, cancelAt).some(({ answer }) => answer.kind === 'declined')
      if (cancelAt <= 0 || !wasDeclined) return false
      expect(notedDecline).not.toBeNull()
      return true
    })
  })

  it('keeps one key for one kind of request until the gateway has ended it without effect', async () => {
    await always(6_000, (_, { requests, raised }) => {
      for (const { name, key } of requests)
        if (name !== 'retrieve') expect(key).toBe(`payment:${name}:${attempts[name]}`)
      for (const request of raised) {
        const asked = requests.find(({ name }) => name === request)
        expect(asked?.answer.kind === 'unknown' ? asked.answer.reason : 'ended').toMatch(
          /^(server-error|key-reused|ended)$/,
        )
      }
      return raised.length > 0
    })
  })
})

function isFinalRefusal(answer: GatewayAnswer): boolean {
  return answer.kind === 'declined' || (answer.kind === 'rejected' && finalRefusals.includes(answer.errorCode))
}
