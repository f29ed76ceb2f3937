import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { ChangingEndpoint, Concern, Execution } from './endpoint.ts'
import type { FactDraft, KeyRecorded } from './facts.ts'
import { type Fault, type FaultKind, isRefusal, isRequestFault } from './faults.ts'
import type { Simulator } from './simulator.ts'
import { type Answer, booksAreFull, errorAnswer, invalidRequest, refusals, somethingWentWrong } from './wire/answer.ts'
import { metadataParameter, parseParameters } from './wire/parameters.ts'
import { headerOf, idIn, pathOf, type StripeHandler, type StripeRequest } from './wire/stripe-request.ts'
import { readRequestId, type Transmittable, transmit } from './wire/transmit.ts'

/**
 * A POST, from its arrival to its answer, with Stripe's published idempotency behaviour
 * (https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/error-low-level#idempotency):
 *
 * - the first answer of a key is recorded from the moment when its execution begins, whatever it is, also a 500, and
 *   replayed with `Idempotent-Replayed: true`;
 * - not recorded, so that the key stays free: 401, 429, parameters that do not pass, something that does not exist, a
 *   conflict with a request that is still running;
 * - the same key with another path or other parameters: 400 `idempotency_error`; while in use: 409.
 *
 * The effect and its recorded answer reach the disk in one write, between two halves of the latency. Whoever kills the
 * simulator, or gives up waiting, finds either both or none.
 */
export function performChange<P>(simulator: Simulator, endpoint: ChangingEndpoint<P>): StripeHandler {
  return async (request, response) => {
    const refusal = chooseRefusal(simulator, endpoint, request, response)
    if (refusal) return transmit(response, refusal, null)
    const key = headerOf(request, 'idempotency-key') ?? null
    if (key !== null && (key === '' || key.length > maxKeyLength)) {
      return transmit(response, invalidRequest('Idempotency keys have 1 to 255 characters.'), null)
    }
    const fingerprint = key === null ? '' : fingerprintOf(request)
    const earlier = key === null ? null : meetEarlierRequest(simulator, key, fingerprint)
    if (earlier?.kind === 'refused') return transmit(response, earlier.answer, null)
    if (earlier?.kind === 'recorded') return replay(simulator, endpoint, earlier.record, request, response)

    const parsed = parseParameters(endpoint.parameters, request.body ?? {})
    if (!parsed.ok) return transmit(response, parsed.refusal, null)
    const change: Change<P> = {
      endpoint,
      parameters: parsed.parameters,
      id: idIn(request),
      key,
      fingerprint,
    }
    return change.key === null
      ? await execute(simulator, change, response)
      : await withKeyInUse(simulator, change.key, fingerprint, () => execute(simulator, change, response))
  }
}

function chooseRefusal<P>(
  simulator: Simulator,
  endpoint: ChangingEndpoint<P>,
  request: StripeRequest,
  response: ServerResponse,
): Answer | undefined {
  if (!simulator.faults.mayRefuse()) return undefined
  const concern = concernOf(simulator, endpoint, request)
  const given = metadataParameter.safeParse(request.body?.metadata)
  const fault = simulator.faults.choose({
    operation: endpoint.operation,
    metadata: concern?.ok ? concern.metadata : (given.data ?? {}),
    subject: (concern?.ok ? concern.subject : null) ?? readRequestId(response),
    canShow: isRefusal,
  })
  return fault ? refusals[fault.kind] : undefined
}

/** As Stripe documents. */
const maxKeyLength = 255

interface Change<P> {
  readonly endpoint: ChangingEndpoint<P>
  readonly parameters: P
  readonly id: string
  readonly key: string | null
  readonly fingerprint: string
}

type Earlier =
  | { readonly kind: 'refused'; readonly answer: Answer }
  | { readonly kind: 'recorded'; readonly record: KeyRecorded }

function meetEarlierRequest(simulator: Simulator, key: string, fingerprint: string): Earlier | null {
  const running = simulator.keysInUse.get(key)
  const record = running === undefined ? simulator.books.findRecordedKey(key) : undefined
  const known = running ?? record?.fingerprint
  if (known === undefined) return null
  if (known !== fingerprint) {
    const message = `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`
    return { kind: 'refused', answer: errorAnswer(400, { type: 'idempotency_error', message }) }
  }
  if (record) return { kind: 'recorded', record }
  const message = `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`
  const code = 'idempotency_key_in_use'
  return { kind: 'refused', answer: errorAnswer(409, { type: 'idempotency_error', code, message }) }
}

async function withKeyInUse(
  simulator: Simulator,
  key: string,
  fingerprint: string,
  work: () => Promise<void>,
): Promise<void> {
  simulator.keysInUse.set(key, fingerprint)
  try {
    await work()
  } finally {
    simulator.keysInUse.delete(key)
  }
}

async function execute<P>(simulator: Simulator, change: Change<P>, response: ServerResponse): Promise<void> {
  const { endpoint, parameters, id } = change
  const { books } = simulator
  const concern = endpoint.concerns(parameters, books, id)
  if (!concern.ok) return transmit(response, concern.refusal, null)
  if (books.isFull()) return transmit(response, booksAreFull, null)

  const requestId = readRequestId(response)
  const fault = simulator.faults.choose({
    operation: endpoint.operation,
    metadata: concern.metadata,
    subject: concern.subject ?? change.key ?? requestId,
    canShow: (kind) => {
      if (kind === 'refuse-refund') return endpoint.operation === 'refund'
      return isRequestFault(kind) && (kind !== 'decline' || endpoint.asksBank(parameters, books, id))
    },
  })
  if (fault?.kind === 'rate-limit') return transmit(response, null, fault)

  const latencyMs = simulator.drawLatencyMs()
  await simulator.sleep(latencyMs / 2 + (fault?.kind === 'delay-before' ? fault.delayMs : 0))
  if (fault?.kind === 'drop-before') return transmit(response, null, fault)
  const answer = changeBooks(simulator, change, fault, requestId)
  await simulator.sleep(latencyMs / 2 + (fault?.kind === 'delay' ? fault.delayMs : 0))
  transmit(response, answer, fault)
}

/** Nothing in here waits: what it reads still holds when it writes. */
function changeBooks<P>(
  simulator: Simulator,
  change: Change<P>,
  fault: Fault | null,
  requestId: string,
): Transmittable {
  const { endpoint, parameters, id, key, fingerprint } = change
  const { books, refundChangeMs } = simulator
  const at = simulator.timestamp()
  const bankRefuses = fault?.kind === 'decline'
  const refusal = refusalBy(fault)
  const { facts, answer }: Execution =
    refusal !== null
      ? { facts: [], answer: refusal }
      : endpoint.execute(parameters, books, { id, at, requestId, idempotencyKey: key, bankRefuses, refundChangeMs })
  const { status, body: given } = fault?.kind === 'error-after' ? somethingWentWrong : answer
  const body = JSON.stringify(given)
  const recorded: FactDraft[] =
    key === null ? [] : [{ type: 'key.recorded', at, key, fingerprint, status, body, requestId }]
  simulator.record([...facts, ...recorded])
  return { status, body }
}

/** The answer of a fault that keeps the request from being done. */
function refusalBy(fault: Fault | null): Answer | null {
  if (fault?.kind === 'error-before') return somethingWentWrong
  if (fault?.kind !== 'refuse-refund') return null
  return invalidRequest('This charge cannot be refunded.', { code: fault.refusalCode })
}

/** What can befall an answer that was given before: only what lies between the simulator and who asks. */
const faultsOfAReplay: ReadonlySet<FaultKind> = new Set([
  'delay',
  'delay-before',
  'drop-after',
  'drop-before',
  'garbage',
  'rate-limit',
  'trickle',
])

async function replay<P>(
  simulator: Simulator,
  endpoint: ChangingEndpoint<P>,
  record: KeyRecorded,
  request: StripeRequest,
  response: ServerResponse,
): Promise<void> {
  const concern = concernOf(simulator, endpoint, request)
  const fault = simulator.faults.choose({
    operation: endpoint.operation,
    metadata: concern?.ok ? concern.metadata : {},
    subject: (concern?.ok ? concern.subject : null) ?? record.key,
    canShow: (kind) => faultsOfAReplay.has(kind),
  })
  if (fault?.kind !== 'rate-limit') {
    await simulator.sleep(simulator.drawLatencyMs() + (fault?.kind.startsWith('delay') ? fault.delayMs : 0))
  }
  response.setHeader('Idempotent-Replayed', 'true')
  response.setHeader('Original-Request', record.requestId)
  transmit(response, record, fault)
}

/** Null: the parameters do not pass. */
function concernOf<P>(simulator: Simulator, endpoint: ChangingEndpoint<P>, request: StripeRequest): Concern | null {
  const parsed = parseParameters(endpoint.parameters, request.body ?? {})
  return parsed.ok ? endpoint.concerns(parsed.parameters, simulator.books, idIn(request)) : null
}

function fingerprintOf(request: StripeRequest): string {
  const text = `${request.method} ${pathOf(request)}\n${JSON.stringify(sorted(request.body ?? {}))}`
  return hash('sha256', text, 'base64')
}

/** A copy with its names in order: the order in which the fields of a form stand does not matter. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const fields = value as Record<string, unknown>
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(fields).sort()) copy[name] = sorted(fields[name])
  return copy
}
