import { randomUUID } from 'node:crypto'
import type { GatewayAnswer, GatewayIntent, IntentGateway, RefundGateway } from '@seatbelt/safety'

export type NaiveGateway = IntentGateway & Pick<RefundGateway, 'createRefund'>

export interface FakeGatewayOptions {
  /** Each confirm and each refund waits for it first. */
  readonly beforeCharge?: () => Promise<void>
  /** Whether the answer of a charge gets lost. */
  readonly losesAnswer?: () => boolean
  readonly declinesFirst?: boolean
}

/** Charges whatever it is asked for. */
export function fakeGateway({
  beforeCharge = async () => undefined,
  losesAnswer = () => false,
  declinesFirst = false,
}: FakeGatewayOptions = {}) {
  let declines = declinesFirst ? 1 : 0
  let charged = 0
  const holding = new Set<string>()
  const givenBackMinors: number[] = []
  const intent = (
    id: string,
    chargeId: string | null,
    status: GatewayIntent['status'] = chargeId === null ? 'requires_confirmation' : 'succeeded',
  ): GatewayAnswer => ({
    kind: 'intent',
    requestId: null,
    intent: {
      id,
      status,
      amountMinor: 1_234,
      receivedMinor: chargeId === null ? 0 : 1_234,
      currency: 'EUR',
      chargeId,
      declineCode: null,
      metadata: {},
      createdAt: new Date(0),
    },
  })
  const nothingKnown = {
    kind: 'unknown',
    reason: 'connection',
    status: null,
    replayed: false,
    requestId: null,
  } as const
  const declined = { kind: 'declined', declineCode: 'generic_decline', requestId: null } as const
  const gateway: NaiveGateway = {
    createIntent: async () => intent(`pi_${randomUUID()}`, null),
    confirmIntent: async (id, { captureMethod }) => {
      await beforeCharge()
      declines -= 1
      if (declines === 0) return declined
      if (captureMethod === 'manual') {
        holding.add(id)
        return intent(id, null, 'requires_capture')
      }
      charged += 1
      if (losesAnswer()) return nothingKnown
      return intent(id, `ch_${charged}`)
    },
    captureIntent: async (id) => {
      if (!holding.delete(id)) return nothingKnown
      charged += 1
      return intent(id, `ch_${charged}`)
    },
    cancelIntent: async (id) => (holding.delete(id) ? intent(id, null, 'canceled') : nothingKnown),
    createRefund: async ({ intentId, amountMinor, metadata }) => {
      await beforeCharge()
      givenBackMinors.push(amountMinor)
      const of = { intentId, amountMinor, metadata, currency: 'EUR', chargeId: 'ch_1', createdAt: new Date() }
      const id = `re_${givenBackMinors.length}`
      return { kind: 'refund', requestId: null, refund: { id, status: 'succeeded', failureReason: null, ...of } }
    },
    retrieveIntent: async (id) => intent(id, null),
  }
  return { gateway, charges: () => charged, givenBack: () => givenBackMinors }
}
