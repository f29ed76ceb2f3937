import type { Decline, PaymentGoal } from '@seatbelt/domain'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  GatewayAnswer,
  GatewayIntent,
  IntentGateway,
  IntentParameters,
  RefusedPart,
  UnknownReason,
} from '../src/gateway-protocol/gateway.ts'
import {
  createGatewayIntentLayer,
  createMissingIntentLayer,
  type Evidence,
  type IntentStore,
  maxGatewayRequests,
  type PaymentAttempt,
  readFinalEvidence,
} from '../src/gateway-protocol/gateway-intent.ts'
import { intentTransitions, missingIntentTransitions } from '../src/gateway-protocol/intent-transitions.ts'
import { readNoAnswer } from '../src/gateway-protocol/no-answer.ts'
import { expectSoundTable } from './sound-table.ts'

/** Layer 6 of payments against every possible gateway: these claims hold for all of its answers. */

const parameters: IntentParameters = {
  amountMinor: 4_200,
  currency: 'EUR',
  paymentMethod: 'pm',
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
  'forbidden',
]

/** Of the reasons that come with an answer. */
const statusOf: Partial<Record<UnknownReason, number>> = {
  'server-error': 500,
  unreadable: 200,
  'key-in-use': 409,
  'key-reused': 400,
  'rate-limited': 429,
  unauthorized: 401,
  forbidden: 403,
}

const intent = (overrides: Partial<GatewayIntent>): GatewayIntent => ({
  id: 'pi',
  status: 'requires_confirmation',
  amountMinor: 4_200,
  receivedMinor: 0,
  currency: 'EUR',
  chargeId: null,
  declineCode: null,
  metadata: parameters.metadata,
  createdAt: new Date(0),
  ...overrides,
})

const usual = (status: GatewayIntent['status']) =>
  status === 'succeeded' ? intent({ status, receivedMinor: 4_200, chargeId: 'ch' }) : intent({ status })

/** Mostly the stored intent of this payment. */
const anyIntent = fc
  .record({
    id: fc.constantFrom('pi', 'pi', 'pi', 'pi', 'another'),
    status: fc.constantFrom(...statuses),
    declineCode: fc.constantFrom(null, 'insufficient_funds'),
    amountMinor: fc.constantFrom(4_200, 4_200, 4_200, 4_200, 1),
    receivedMinor: fc.constantFrom(4_200, 4_200, 4_199, 4_201, 0),
    hasCharge: fc.constantFrom(true, true, false),
    isNamed: fc.constantFrom(true, true, true, true, false),
  })
  .map(({ hasCharge, isNamed, ...rest }) => {
    const metadata = isNamed ? parameters.metadata : { paymentId: 'another' }
    return intent({ ...rest, metadata, chargeId: rest.status === 'succeeded' && hasCharge ? 'ch' : null })
  })

function isOurs({ id, amountMinor, metadata }: GatewayIntent): boolean {
  return id === 'pi' && amountMinor === 4_200 && metadata.paymentId === 'payment'
}

const answerWith = (it: GatewayIntent): GatewayAnswer => ({ kind: 'intent', intent: it, requestId: 'req' })
const deadline: GatewayAnswer = {
  kind: 'unknown',
  reason: 'deadline',
  status: null,
  replayed: false,
  requestId: null,
}

/** The only refusals that end an authorization. The others may be about our request. */
const finalRefusals = ['charge_expired_for_capture', 'capture_charge_authorization_expired']
const errorCodes = [...finalRefusals, 'unexpected_state', 'parameter_unknown']

/** `usual`: the answer of a day without trouble. Half of the answers are, so that runs can go wrong at each step. */
type Scripted = GatewayAnswer | 'usual'

const anyAnswer = fc.oneof(
  { arbitrary: fc.constant('usual'), weight: 4 },
  anyIntent.map(answerWith),
  fc.constant({ kind: 'declined', declineCode: 'card_declined', requestId: 'req' }),
  {
    arbitrary: fc
      .record({
        errorCode: fc.constantFrom(...errorCodes),
        status: fc.constantFrom(400, 400, 404),
        about: fc.constantFrom<RefusedPart>('payment-method', 'state', 'request'),
      })
      .map((refusal) => ({ kind: 'rejected', message: 'why', requestId: 'req', ...refusal })),
    weight: 2,
  },
  fc
    .record({ reason: fc.constantFrom(...reasons), replayed: fc.boolean() })
    .map(({ reason, replayed }) => ({ ...deadline, reason, replayed, status: statusOf[reason] ?? null })),
) as fc.Arbitrary<Scripted>

interface ClaimedState {
  readonly goal: PaymentGoal
  readonly isFirstOwner: boolean
  readonly isStored: boolean
  readonly wanted: boolean
  readonly notedDecline: Decline | null
  readonly cardWith: 'confirm' | undefined
  /** The gateway still knows the key of the creation. */
  readonly keyIsRemembered: boolean
}

/** As payments can be stored: a first owner has sent no request yet, and an authorization has an intent. */
const anyPayment: fc.Arbitrary<ClaimedState> = fc
  .record({
    goal: fc.constantFrom<PaymentGoal>('charge', 'authorize', 'capture', 'void'),
    isFirstOwner: fc.boolean(),
    isStored: fc.boolean(),
    wanted: fc.boolean(),
    notedDecline: fc.constantFrom<Decline | null>(
      null,
      { declineCode: 'insufficient_funds', declinedBy: 'bank' },
      { declineCode: 'resource_missing', declinedBy: 'payment-method' },
      { declineCode: 'parameter_unknown', declinedBy: 'gateway' },
    ),
    cardWith: fc.constantFrom('confirm' as const, undefined),
    keyIsRemembered: fc.constantFrom(true, true, false),
  })
  .map(({ goal, isFirstOwner, cardWith, ...drawn }) => {
    const isAuthorized = goal === 'capture' || goal === 'void'
    const isStored = isAuthorized || (!isFirstOwner && drawn.isStored)
    const wanted = isAuthorized || isFirstOwner || drawn.wanted
    const notedDecline = !isFirstOwner && isStored ? drawn.notedDecline : null
    const keyIsRemembered = isFirstOwner || drawn.keyIsRemembered
    return { goal, isFirstOwner, isStored, wanted, notedDecline, cardWith, keyIsRemembered }
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
  /** The requests whose next key was taken into use. */
  readonly nextKeys: readonly string[]
  /** How many requests were sent before a write was lost. */
  readonly lostAfter: number | null
  /** All requests and stored writes, in their order. */
  readonly steps: readonly string[]
}

interface World {
  readonly payment: ClaimedState
  readonly answers: readonly Scripted[]
  /** After so many writes another owner has taken over. */
  readonly deposedAfter: number
  /** So many requests fit into the lease. */
  readonly leaseAllows: number
}

const keyNumbers = { create: 1, confirm: 2, capture: 3, cancel: 4 }

function usualStatus(asked: Request['name'], { goal, cardWith }: ClaimedState): GatewayIntent['status'] {
  const waiting = cardWith === 'confirm' ? 'requires_payment_method' : 'requires_confirmation'
  switch (asked) {
    case 'create':
      return waiting
    case 'confirm':
      return goal === 'authorize' ? 'requires_capture' : 'succeeded'
    case 'capture':
      return 'succeeded'
    case 'cancel':
      return 'canceled'
    case 'retrieve':
      return goal === 'capture' || goal === 'void' ? 'requires_capture' : waiting
    default:
      return asked satisfies never
  }
}

/** The owner's writes, in memory. After so many of them, another owner has taken over. */
function memoryStore(deposedAfter: number, sent: readonly Request[], steps: string[]) {
  const kept = { intentId: null as string | null, notedDecline: null as Decline | null }
  const nextKeys: string[] = []
  let writes = 0
  let lostAfter: number | null = null
  const write = async (step: string, effect: () => void) => {
    if (writes++ < deposedAfter) effect()
    else lostAfter ??= sent.length
    steps.push(step)
    return lostAfter === null
  }
  const store: IntentStore = {
    storeIntent: (_, intentId) => write(`store ${intentId}`, () => Object.assign(kept, { intentId })),
    noteDecline: (_, notedDecline) =>
      write(`note ${notedDecline.declineCode}`, () => Object.assign(kept, { notedDecline })),
    useNextKey: (_, request) => write(`next ${request} key`, () => nextKeys.push(request)),
  }
  return { store, kept, nextKeys, lostAfter: () => lostAfter }
}

const runtime = { monotonicMs: () => 1 }

function attemptOf({ isStored, cardWith, ...claimed }: ClaimedState, allowsRequest = () => true): PaymentAttempt {
  return {
    ...claimed,
    id: 'payment',
    generation: 1,
    owner: 'owner',
    lease: { allowsRequest },
    gatewayIntentId: isStored ? 'pi' : null,
    gatewayKey: 'payment',
    intentParameters: cardWith ? { ...parameters, cardWith } : parameters,
    keyNumbers,
  }
}

async function run({ payment, answers, deposedAfter, leaseAllows }: World): Promise<Run> {
  const requests: Request[] = []
  const steps: string[] = []
  const { store, kept, nextKeys, lostAfter } = memoryStore(deposedAfter, requests, steps)
  if (payment.isStored) kept.intentId = 'pi'
  const answer = (name: Request['name'], key: string | null) => {
    const scripted = answers[requests.length] ?? deadline
    const next = scripted === 'usual' ? answerWith(usual(usualStatus(name, payment))) : scripted
    requests.push({ name, key, answer: next })
    steps.push(name)
    return Promise.resolve(next)
  }
  const onlyStored = (id: string, name: Request['name'], key: string) => {
    expect(id, `only the stored intent: ${name}`).toBe(kept.intentId)
    return answer(name, key)
  }
  const gateway: IntentGateway = {
    createIntent: (_, key) => answer('create', key),
    confirmIntent: (id, _, key) => onlyStored(id, 'confirm', key),
    captureIntent: (id, key) => onlyStored(id, 'capture', key),
    cancelIntent: (id, key) => onlyStored(id, 'cancel', key),
    retrieveIntent: () => answer('retrieve', null),
  }
  const layer = createGatewayIntentLayer({ gateway, store, runtime })
  const evidence = await layer(attemptOf(payment, () => requests.length < leaseAllows))
  const { intentId, notedDecline } = kept
  return { evidence, requests, stored: intentId, notedDecline, nextKeys, lostAfter: lostAfter(), steps }
}

const anyWorld: fc.Arbitrary<World> = fc.record({
  payment: anyPayment,
  answers: fc.array(anyAnswer, { minLength: maxGatewayRequests, maxLength: maxGatewayRequests }),
  deposedAfter: fc.constantFrom(0, 1, 2, 99, 99),
  leaseAllows: fc.constantFrom(0, 1, 2, 3, 99, 99),
})

const showed = (requests: readonly Request[], status: GatewayIntent['status']) =>
  requests.some(({ answer }) => answer.kind === 'intent' && isOurs(answer.intent) && answer.intent.status === status)

/** Runs so many worlds. The claim returns whether it was about the world, and must be about fifty of them at least. */
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

function isBankDecline(answer: GatewayAnswer): boolean {
  if (answer.kind !== 'intent') return answer.kind === 'declined'
  const { status, declineCode } = answer.intent
  return status === 'requires_action' || (status === 'requires_payment_method' && declineCode !== null)
}

const outcomeOf = ({ evidence }: Run) => (evidence.kind === 'outcome' ? evidence.outcome : null)

describe('layer 6, for all answers of the gateway', () => {
  it('ends a payment without money only when its intent was seen cancelled or none was ever stored', async () => {
    await always(4_000, (_, ran) => {
      const { evidence, requests, stored } = ran
      if (evidence.kind !== 'outcome' || /succeeded|authorized/.test(evidence.outcome.state)) return false
      if (evidence.fenced) expect(showed(requests, 'canceled')).toBe(true)
      else expect(stored).toBeNull()
      return true
    })
  })

  it('ends it as voided if it was authorized, and as declined or cancelled if not', async () => {
    await always(4_000, ({ payment }, ran) => {
      const outcome = outcomeOf(ran)
      if (outcome === null || /succeeded|authorized/.test(outcome.state)) return false
      const wasAuthorized = payment.goal === 'capture' || payment.goal === 'void'
      expect(outcome.state).toMatch(wasAuthorized ? /^voided$/ : /^(declined|cancelled)$/)
      return true
    })
  })

  it('names the bank or the payment method only if that was refused', async () => {
    await always(12_000, ({ payment }, ran) => {
      const outcome = outcomeOf(ran)
      if (outcome?.state !== 'declined') return false
      const noted = payment.notedDecline?.declinedBy === 'bank'
      if (noted || ran.requests.some(({ answer }) => isBankDecline(answer))) return false
      const isMethodRefused =
        payment.notedDecline?.declinedBy === 'payment-method' ||
        ran.requests.some(({ answer }) => answer.kind === 'rejected' && answer.about === 'payment-method')
      expect(isMethodRefused ? ['payment-method', 'gateway'] : ['gateway']).toContain(outcome.declinedBy)
      return true
    })
  })

  it('calls a payment succeeded only if its intent was seen so, with a charge of the amount or a part', async () => {
    await always(4_000, (_, ran) => {
      const outcome = outcomeOf(ran)
      if (outcome?.state !== 'succeeded') return false
      expect([4_199, 4_200]).toContain(outcome.capturedMinor)
      const receivedMinor = outcome.capturedMinor
      const proof = { id: 'pi', status: 'succeeded', amountMinor: 4_200, receivedMinor, chargeId: 'ch' } as const
      const { metadata } = parameters
      expect(ran.requests.map(({ answer }) => (answer.kind === 'intent' ? answer.intent : null))).toContainEqual(
        expect.objectContaining({ ...proof, metadata }),
      )
      return true
    })
  })

  it('calls a payment authorized only when that is wanted and its intent was seen authorized', async () => {
    await always(12_000, ({ payment }, ran) => {
      if (outcomeOf(ran)?.state !== 'authorized') return false
      expect(payment).toMatchObject({ goal: 'authorize', wanted: true })
      expect(showed(ran.requests, 'requires_capture')).toBe(true)
      expect(ran.requests.map(({ name }) => name)).not.toContain('cancel')
      return true
    })
  })

  it('confirms only what is to be charged or authorized, and captures only what is to be captured', async () => {
    await always(4_000, ({ payment: { goal, wanted } }, { requests }) => {
      const count = (asked: Request['name']) => requests.filter(({ name }) => name === asked).length
      expect(count('confirm')).toBeLessThanOrEqual(wanted && (goal === 'charge' || goal === 'authorize') ? 1 : 0)
      expect(count('capture')).toBeLessThanOrEqual(goal === 'capture' ? 1 : 0)
      expect(count('cancel')).toBeLessThanOrEqual(1)
      return count('confirm') + count('capture') > 0
    })
  })

  it('captures only what it has just seen authorized, unless its owner claimed the capture', async () => {
    await always(4_000, ({ payment }, { requests }) => {
      const captureAt = requests.findIndex(({ name }) => name === 'capture')
      if (captureAt < 0) return false
      if (payment.isFirstOwner) expect(captureAt).toBe(0)
      else expect(requests[captureAt - 1]?.answer).toMatchObject({ intent: { status: 'requires_capture' } })
      return true
    })
  })

  it('voids an authorization only if the gateway says that it is over, not for another refusal', async () => {
    await always(24_000, (_, ran) => {
      const capture = ran.requests.find(({ name }) => name === 'capture')
      if (!capture || capture.answer.kind === 'intent' || isFinalRefusal(capture.answer)) return false
      const [look, ...more] = ran.requests.slice(ran.requests.indexOf(capture) + 1)
      if (look?.answer.kind !== 'intent' || look.answer.intent.status !== 'requires_capture') return false
      if (!isOurs(look.answer.intent)) return false
      expect([ran.evidence.kind, more]).toEqual(['unknown', []])
      return true
    })
  })

  it('repeats a capture that was refused and had no effect under the next key', async () => {
    await always(24_000, (world, ran) => {
      const capture = ran.requests.find(({ name }) => name === 'capture')
      if (capture?.answer.kind !== 'rejected' || isFinalRefusal(capture.answer) || world.deposedAfter === 0)
        return false
      const [look] = ran.requests.slice(ran.requests.indexOf(capture) + 1)
      if (look?.answer.kind !== 'intent' || look.answer.intent.status !== 'requires_capture') return false
      if (!isOurs(look.answer.intent)) return false
      expect(ran.nextKeys).toEqual(['capture'])
      return true
    })
  })

  it('reports whether the gateway answered, so that a person learns of what it refuses forever', async () => {
    await always(12_000, (_, { evidence, requests }) => {
      const { answer } = requests.at(-1) ?? {}
      if (evidence.kind !== 'unknown' || answer?.kind !== 'unknown' || evidence.reason !== readNoAnswer(answer).detail)
        return false
      expect(evidence.readable).toBe(answer.status !== null)
      return answer.status !== null
    })
  })

  it('reports why the gateway refused to capture, also if it has ended the authorization by itself', async () => {
    await always(60_000, (_, ran) => {
      const capture = ran.requests.find(({ name }) => name === 'capture')
      const outcome = outcomeOf(ran)
      if (!capture || outcome?.state !== 'voided' || !isFinalRefusal(capture.answer)) return false
      const { answer } = capture
      expect(outcome.declineCode).toBe(answer.kind === 'rejected' ? answer.errorCode : 'card_declined')
      return true
    })
  })

  it('sends a bounded number of requests, and none for which the lease has no time', async () => {
    let most = 0
    await always(8_000, (world, { requests }) => {
      expect(requests.length).toBeLessThanOrEqual(Math.min(maxGatewayRequests, world.leaseAllows))
      most = Math.max(most, requests.length)
      return true
    })
    // If it were less, the lease could be shorter.
    expect(most).toBe(maxGatewayRequests)
  })

  it('looks before it asks, unless its owner is the first', async () => {
    await always(2_000, ({ payment: { isFirstOwner, isStored, goal } }, { requests }) => {
      const first = requests[0]?.name
      if (!first) return false
      if (!isStored) expect(first).toBe('create')
      else if (!isFirstOwner) expect(first).toBe('retrieve')
      else expect(first).toBe(goal === 'capture' ? 'capture' : 'cancel')
      return true
    })
  })

  it('notes a decline before the cancel, after which the gateway no longer shows it', async () => {
    await always(20_000, (_, { requests, notedDecline }) => {
      const cancelAt = requests.findIndex(({ name }) => name === 'cancel')
      const wasDeclined = requests.slice(0, cancelAt).some(({ answer }) => answer.kind === 'declined')
      if (cancelAt <= 0 || !wasDeclined) return false
      expect(notedDecline).not.toBeNull()
      return true
    })
  })

  it('keeps the key of a request until the gateway has ended the request without effect', async () => {
    await always(6_000, (_, { requests, nextKeys }) => {
      for (const { name, key } of requests)
        if (name !== 'retrieve') expect(key).toBe(`payment:${name}:${keyNumbers[name]}`)
      for (const request of nextKeys) {
        const asked = requests.find(({ name }) => name === request)
        expect(asked?.answer.kind === 'unknown' ? asked.answer.reason : 'ended').toMatch(
          /^(server-error|key-reused|ended)$/,
        )
      }
      return nextKeys.length > 0
    })
  })

  it('sends nothing more once a write is lost, and leaves the payment to the other owner', async () => {
    await always(6_000, (_, { evidence, requests, lostAfter }) => {
      if (lostAfter === null) return false
      expect(evidence).toMatchObject({ kind: 'unknown', reason: 'another owner took over', readable: false })
      expect(requests.length).toBe(lostAfter)
      return true
    })
  })

  it('logs each request, except a creation that the stored id has recorded in the history', async () => {
    await always(2_000, ({ payment }, { evidence, requests, stored }) => {
      const sent = requests.map(({ name }) => (name === 'retrieve' ? 'look' : name))
      const isRecorded = !payment.isStored && stored !== null
      expect(evidence.requestLog.map(({ event }) => event)).toEqual(isRecorded ? sent.slice(1) : sent)
      return sent.length > 0
    })
  })
})

const takenOver: ClaimedState = {
  goal: 'charge',
  isFirstOwner: false,
  isStored: true,
  wanted: true,
  notedDecline: null,
  cardWith: 'confirm',
  keyIsRemembered: true,
}

async function take(payment: Partial<ClaimedState>, answers: readonly Scripted[]) {
  const owner = { payment: { ...takenOver, ...payment }, deposedAfter: 99, leaseAllows: 99 }
  const { steps, evidence } = await run({ ...owner, answers })
  const { requestLog, intentId, ...conclusion } = evidence
  return { steps: steps.join(', '), conclusion }
}

const withoutCard = answerWith(intent({ status: 'requires_payment_method' }))
const afterDecline = answerWith(intent({ status: 'requires_payment_method', declineCode: 'lost_card' }))
const cardError: GatewayAnswer = { kind: 'declined', declineCode: 'lost_card', requestId: null }
const rejected: GatewayAnswer = {
  kind: 'rejected',
  status: 400,
  errorCode: 'unexpected_state',
  about: 'state',
  message: null,
  requestId: null,
}
const failed: GatewayAnswer = { ...deadline, reason: 'server-error', status: 500 }
const repeated: GatewayAnswer = { ...failed, replayed: true }
const reused: GatewayAnswer = { ...deadline, reason: 'key-reused', status: 400 }
const shown = (status: GatewayIntent['status']) => answerWith(usual(status))

const first = { isFirstOwner: true, isStored: false } as const
const capture = { goal: 'capture', isFirstOwner: true } as const
const cancel = { goal: 'void', isFirstOwner: true } as const

const fenced = (outcome: object) => ({ kind: 'outcome', fenced: true, outcome })
const unfenced = (outcome: object) => ({ kind: 'outcome', fenced: false, outcome })
const voided = (declineCode: string | null) => fenced({ state: 'voided', declineCode })
const authorized = fenced({ state: 'authorized' })
const unknown = (reason: string) => ({ kind: 'unknown', reason, readable: true, isOrphan: false })
const succeeded = fenced({ state: 'succeeded', gatewayChargeId: 'ch', capturedMinor: 4_200 })
const byBank = fenced({ state: 'declined', declineCode: 'lost_card', declinedBy: 'bank' })
const byGateway = { state: 'declined', declineCode: 'unexpected_state', declinedBy: 'gateway' }

const notCancelled = unknown('the intent could not be cancelled yet')

// biome-ignore format: a table is read by its columns
const paths: readonly [name: string, payment: Partial<ClaimedState>, answers: Scripted[], steps: string, end: object][] = [
  ['charges',
    first, ['usual', 'usual'], 'create, store pi, confirm', succeeded],
  ['authorizes',
    { ...first, goal: 'authorize' }, ['usual', 'usual'], 'create, store pi, confirm', authorized],
  ['ends if the creation is rejected',
    first, [rejected], 'create', unfenced(byGateway)],
  ['keeps the key of a creation that failed, behind which an intent may be',
    first, [failed], 'create', unknown('server-error (500)')],
  ['uses the next key if the gateway repeats that the creation failed',
    first, [repeated], 'create, next create key', unknown('server-error (500)')],
  ['blocks the order if the key of the creation was used for another request',
    first, [reused], 'create', { ...unknown('the gateway has another intent under the key of this creation'), isOrphan: true }],
  ['stores no intent that was used before',
    first, [afterDecline], 'create', unknown('the created intent is not new')],
  ['cancels the intent that the creation shows if the money is no longer wanted',
    { isStored: false, wanted: false }, ['usual', 'usual'], 'create, store pi, cancel', fenced({ state: 'cancelled' })],
  ['finds the money that is no longer wanted, if the commit that stored the intent was lost',
    { isStored: false, wanted: false }, ['usual', rejected, shown('succeeded')], 'create, store pi, cancel, retrieve', succeeded],
  ['creates nothing if the gateway may have forgotten the key',
    { isStored: false, wanted: false, keyIsRemembered: false }, [], '', unknown('no intent is stored, and the gateway may have forgotten the key of its creation')],
  ['releases what was authorized for a payment that asks for a charge',
    {}, [shown('requires_capture'), 'usual'], 'retrieve, cancel', fenced({ state: 'cancelled' })],
  ['cancels after a card error, and reports the decline',
    first, ['usual', cardError, 'usual'], 'create, store pi, confirm, note lost_card, cancel', byBank],
  ['cancels after a rejected confirm that had no effect',
    first, ['usual', rejected, withoutCard, 'usual'], 'create, store pi, confirm, retrieve, note unexpected_state, cancel', fenced(byGateway)],
  ['looks after a rejected confirm, which may have had its effect before',
    {}, ['usual', rejected, shown('succeeded')], 'retrieve, confirm, retrieve', succeeded],
  ['looks after a failed confirm, which may have had its effect',
    {}, ['usual', failed, shown('succeeded')], 'retrieve, confirm, retrieve', succeeded],
  ['confirms under the next key after a failed confirm without effect',
    {}, ['usual', failed, withoutCard], 'retrieve, confirm, retrieve, next confirm key', unknown('server-error (500)')],
  ['waits if a confirm was answered without effect',
    {}, ['usual', withoutCard], 'retrieve, confirm', unknown('the confirm had no effect')],
  ['captures',
    capture, ['usual'], 'capture', succeeded],
  ['voids if a capture is refused for good',
    capture, [cardError, 'usual', 'usual'], 'capture, retrieve, note lost_card, cancel', voided('lost_card')],
  ['reports why the gateway has ended an authorization by itself',
    capture, [cardError, shown('canceled')], 'capture, retrieve', voided('lost_card')],
  ['looks after a refused capture, which may have had its effect before',
    capture, [cardError, shown('succeeded')], 'capture, retrieve', succeeded],
  ['captures under the next key after a rejected capture without effect',
    capture, [rejected, 'usual'], 'capture, retrieve, next capture key', unknown('rejected: unexpected_state')],
  ['captures under the next key after a failed capture without effect',
    capture, [failed, 'usual'], 'capture, retrieve, next capture key', unknown('server-error (500)')],
  ['waits if a capture was answered without effect',
    capture, [shown('requires_capture')], 'capture', unknown('the capture had no effect')],
  ['voids',
    cancel, ['usual'], 'cancel', voided(null)],
  ['looks after a rejected cancel: the intent may have succeeded',
    cancel, [rejected, shown('succeeded')], 'cancel, retrieve', succeeded],
  ['looks after a failed cancel, which may have had its effect',
    cancel, [failed, shown('canceled')], 'cancel, retrieve', voided(null)],
  ['cancels under the next key after a failed cancel without effect',
    cancel, [failed, 'usual'], 'cancel, retrieve, next cancel key', notCancelled],
  ['cancels under the next key if a cancel was answered without effect',
    cancel, [shown('requires_capture')], 'cancel, next cancel key', notCancelled],
]

describe('the protocol of a payment intent', () => {
  it.each(paths)('%s', async (_, payment, answers, steps, conclusion) => {
    expect(await take(payment, answers)).toEqual({ steps, conclusion })
  })
})

describe('an intent that waits for a payment method', () => {
  it('was never confirmed, if it is to receive its card with the confirm and shows no error', async () => {
    expect(await take({}, [withoutCard, 'usual'])).toEqual({ steps: 'retrieve, confirm', conclusion: succeeded })
  })

  it('was declined, if it shows an error', async () => {
    const steps = 'retrieve, note lost_card, cancel'
    expect(await take({}, [afterDecline, 'usual'])).toEqual({ steps, conclusion: byBank })
  })

  it('was declined by the gateway, if it was created with its card and shows no error', async () => {
    const conclusion = fenced({ state: 'declined', declineCode: 'declined', declinedBy: 'gateway' })
    const steps = 'retrieve, note declined, cancel'
    expect(await take({ cardWith: undefined }, [withoutCard, 'usual'])).toEqual({ steps, conclusion })
  })

  it('is cancelled and not declined, if the money is no longer wanted', async () => {
    const conclusion = fenced({ state: 'cancelled' })
    expect(await take({ wanted: false }, [withoutCard, 'usual'])).toEqual({ steps: 'retrieve, cancel', conclusion })
  })
})

describe('an operator who believes that the gateway has no such intent', () => {
  async function review(payment: Partial<ClaimedState>, answer: GatewayAnswer) {
    const looked: string[] = []
    const port = {
      retrieveIntent: async (id: string) => {
        looked.push(id)
        return answer
      },
    } as unknown as IntentGateway
    const deps = { gateway: port, store: {} as IntentStore, runtime }
    const evidence = await createMissingIntentLayer(deps, 'the command')(attemptOf({ ...takenOver, ...payment }))
    expect(evidence.requestLog.at(-1)).toMatchObject({ event: 'operator', detail: 'the command' })
    return { ...evidence, looks: looked.length }
  }
  const missing: GatewayAnswer = {
    kind: 'rejected',
    status: 404,
    errorCode: 'resource_missing',
    about: 'state',
    message: null,
    requestId: null,
  }

  it('ends the payment if the gateway confirms it, by a decline that was noted', async () => {
    expect(await review({}, missing)).toMatchObject({ outcome: { state: 'cancelled' }, fenced: true })
    const notedDecline = { declineCode: 'lost_card', declinedBy: 'bank' } as const
    expect(await review({ notedDecline }, missing)).toMatchObject({ outcome: { state: 'declined' } })
    expect(await review({ goal: 'capture' }, missing)).toMatchObject({ outcome: { state: 'voided' } })
  })

  it.each([
    ['succeeded', 'succeeded'],
    ['canceled', 'cancelled'],
  ] as const)('accepts that the intent has %s', async (status, state) => {
    expect(await review({}, answerWith(usual(status)))).toMatchObject({ outcome: { state } })
  })

  it.each([
    ['is still open', answerWith(usual('requires_confirmation')), 'the gateway has its intent, which is not at an end'],
    [
      'is still authorized',
      answerWith(usual('requires_capture')),
      'the gateway has its intent, which is not at an end',
    ],
    ['was declined', afterDecline, 'the gateway has its intent, which is not at an end'],
    ['is refused for another reason', rejected, 'rejected: unexpected_state'],
    ['is not answered', deadline, 'deadline'],
  ])('leaves a payment whose intent %s', async (_, answer, reason) => {
    expect(await review({ goal: 'authorize' }, answer)).toMatchObject({ kind: 'unknown', reason, looks: 1 })
  })

  it('asks for nothing if no intent is stored', async () => {
    expect(await review({ isStored: false }, missing)).toMatchObject({ kind: 'unknown', looks: 0 })
  })
})

describe('an intent that the gateway shows without being asked', () => {
  const shows = (status: GatewayIntent['status'], payment: Partial<ClaimedState> = {}) =>
    readFinalEvidence(usual(status), attemptOf({ ...takenOver, ...payment }))

  it('proves success and cancellation', () => {
    expect(shows('succeeded')).toMatchObject({ outcome: { state: 'succeeded', gatewayChargeId: 'ch' }, fenced: true })
    expect(shows('canceled')).toMatchObject({ outcome: { state: 'cancelled' }, fenced: true })
  })

  it('proves nothing in any other state, or for another payment', () => {
    for (const status of statuses)
      if (status !== 'succeeded' && status !== 'canceled') expect(shows(status, { goal: 'authorize' })).toBeNull()
    expect(readFinalEvidence(intent({ status: 'canceled', id: 'another' }), attemptOf(takenOver))).toBeNull()
  })

  it('proves the same where no id is stored, if it has the name, the amount and the currency', () => {
    const unstored = attemptOf({ ...takenOver, isStored: false })
    expect(shows('succeeded', { isStored: false })).toMatchObject({ outcome: { state: 'succeeded' }, fenced: true })
    expect(shows('canceled', { isStored: false })).toMatchObject({ outcome: { state: 'cancelled' }, fenced: true })
    const succeeded = usual('succeeded')
    const metadata = { ...succeeded.metadata, paymentId: 'another' }
    for (const changed of [{ metadata }, { amountMinor: 1, receivedMinor: 1 }, { currency: 'USD' }])
      expect(readFinalEvidence({ ...succeeded, ...changed }, unstored)).toBeNull()
  })
})

describe('the table', () => {
  it('has no word that is misspelled, and no row that never decides', () => {
    expectSoundTable(intentTransitions)
    expectSoundTable(missingIntentTransitions)
  })
})

function isFinalRefusal(answer: GatewayAnswer): boolean {
  return answer.kind === 'declined' || (answer.kind === 'rejected' && finalRefusals.includes(answer.errorCode))
}
