import type { ReadingEndpoint } from './endpoint.ts'
import { isRefusal, isRequestFault } from './faults.ts'
import type { Simulator } from './simulator.ts'
import { refusals, somethingWentWrong } from './wire/answer.ts'
import { parseParameters } from './wire/parameters.ts'
import { idIn, queryOf, type StripeHandler } from './wire/stripe-request.ts'
import { readRequestId, transmit } from './wire/transmit.ts'

/**
 * A GET. It shows what was the case in the middle of its latency. Idempotency keys mean nothing here. The `before` and
 * `after` of a fault are the same, because there is nothing to do.
 */
export function performReading<P>(simulator: Simulator, endpoint: ReadingEndpoint<P>): StripeHandler {
  return async (request, response) => {
    const parsed = parseParameters(endpoint.parameters, queryOf(request))
    if (!parsed.ok) return transmit(response, parsed.refusal, null)
    const id = idIn(request)
    const { concerned } = endpoint.read(parsed.parameters, simulator.books, id)

    const fault = simulator.faults.choose({
      operation: endpoint.operation,
      metadata: concerned?.metadata ?? {},
      subject: concerned?.subject ?? readRequestId(response),
      canShow: (kind) => isRefusal(kind) || (isRequestFault(kind) && kind !== 'decline'),
    })
    if (fault?.kind === 'rate-limit') return transmit(response, null, fault)
    const refusal = fault && refusals[fault.kind]
    if (refusal) return transmit(response, refusal, null)

    const latencyMs = simulator.drawLatencyMs()
    await simulator.sleep(latencyMs / 2 + (fault?.kind === 'delay-before' ? fault.delayMs : 0))
    const { answer } = endpoint.read(parsed.parameters, simulator.books, id)
    await simulator.sleep(latencyMs / 2 + (fault?.kind === 'delay' ? fault.delayMs : 0))
    const fails = fault?.kind === 'error-before' || fault?.kind === 'error-after'
    transmit(response, fails ? somethingWentWrong : answer, fault)
  }
}
