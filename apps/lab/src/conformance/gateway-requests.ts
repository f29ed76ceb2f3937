import { randomUUID } from 'node:crypto'
import type { StripeGateway } from '@seatbelt/payments'
import type { IntentParameters } from '@seatbelt/safety'

/** A kind of request that our gateway sends, and whether it was taken. */
export interface RequestOutcome {
  readonly request: string
  readonly isAccepted: boolean
  /** `intent`, or the refusal as the gateway port shows it. */
  readonly answer: string
}

const metadata = { paymentId: 'payment-1', orderId: 'order-1', accountId: 'account-1' }
const refundMetadata = { refundId: 'refund-1', orderId: 'order-1', accountId: 'account-1' }
const automatic: IntentParameters = {
  amountMinor: 4_200,
  currency: 'EUR',
  paymentMethod: 'pm_card_visa',
  cardWith: 'confirm',
  metadata,
}
const manual: IntentParameters = { ...automatic, captureMethod: 'manual' }
const offSession: IntentParameters = { ...automatic, offSessionCustomer: 'cus_1' }
/** The parameters of a payment that the version before has claimed. */
const { cardWith: _, ...withCardAtCreation } = { ...manual, offSessionCustomer: 'cus_1' }
/** The request that finds out whether the gateway is well again. */
const knock: IntentParameters = { ...automatic, amountMinor: 0, paymentMethod: 'pi_seatbelt_knock' }

const week = { createdFrom: new Date('2026-11-20T00:00:00Z'), createdTo: new Date('2026-11-27T00:00:00Z'), limit: 100 }

type Ask = (gateway: StripeGateway) => Promise<{ readonly kind: string } | string | null>

/** Every method of the gateway port, in every form in which it is called. */
const requests: Readonly<Record<string, Ask>> = {
  'create an intent': (gateway) => gateway.createIntent(automatic, randomUUID()),
  'create an intent in yen': (gateway) => gateway.createIntent({ ...automatic, currency: 'JPY' }, randomUUID()),
  'create an intent of a customer': (gateway) => gateway.createIntent(offSession, randomUUID()),
  'create an intent with its card': (gateway) => gateway.createIntent(withCardAtCreation, randomUUID()),
  'create an intent of nothing': (gateway) => gateway.createIntent(knock, randomUUID()),
  confirm: (gateway) => gateway.confirmIntent('pi_1', automatic, randomUUID()),
  'confirm for a manual capture': (gateway) => gateway.confirmIntent('pi_1', manual, randomUUID()),
  'confirm off session': (gateway) => gateway.confirmIntent('pi_1', offSession, randomUUID()),
  'confirm an intent that has its card': (gateway) => gateway.confirmIntent('pi_1', withCardAtCreation, randomUUID()),
  capture: (gateway) => gateway.captureIntent('pi_1', randomUUID(), metadata.accountId),
  cancel: (gateway) => gateway.cancelIntent('pi_1', randomUUID(), metadata.accountId),
  'retrieve an intent': (gateway) => gateway.retrieveIntent('pi_1'),
  refund: (gateway) =>
    gateway.createRefund({ intentId: 'pi_1', amountMinor: 100, metadata: refundMetadata }, randomUUID()),
  'retrieve a refund': (gateway) => gateway.retrieveRefund('re_1'),
  'list the refunds of an intent': (gateway) => gateway.listRefundsOf('pi_1'),
  'create a customer': (gateway) => gateway.createCustomer({ accountId: 'a', customerId: 'c' }, randomUUID()),
  'retrieve a customer': (gateway) => gateway.retrieveCustomer('cus_1', metadata.accountId),
  'list charges': (gateway) => gateway.listCharges({ ...week, after: null }),
  'list charges after a page': (gateway) => gateway.listCharges({ ...week, after: 'ch_1' }),
  'list refunds': (gateway) => gateway.listRefunds({ ...week, after: null }),
  'list refunds after a page': (gateway) => gateway.listRefunds({ ...week, after: 're_1' }),
  'list disputes': (gateway) => gateway.listDisputes({ ...week, after: null }),
  'list disputes after a page': (gateway) => gateway.listDisputes({ ...week, after: 'du_1' }),
  'retrieve a dispute': (gateway) => gateway.retrieveDispute('du_1'),
  'retrieve the account': (gateway) => gateway.retrieveAccount(),
}

/** Sends every kind of request, one after the other. Fails where a method of the gateway has none. */
export async function sendGatewayRequests(gateway: StripeGateway): Promise<readonly RequestOutcome[]> {
  const called = new Set<string | symbol>(['close'])
  const watched = new Proxy(gateway, {
    get(target, method, receiver) {
      called.add(method)
      return Reflect.get(target, method, receiver)
    },
  })
  const outcomes: RequestOutcome[] = []
  for (const [request, ask] of Object.entries(requests)) outcomes.push(readOutcome(request, await ask(watched)))
  const forgotten = Object.keys(gateway).filter((method) => !called.has(method))
  if (forgotten.length > 0) throw new Error(`no request here calls ${forgotten.join(', ')} of the gateway`)
  return outcomes
}

function readOutcome(request: string, answer: Awaited<ReturnType<Ask>>): RequestOutcome {
  if (typeof answer === 'string') return { request, isAccepted: true, answer: 'account' }
  const isAccepted = answer !== null && ['intent', 'refund', 'customer', 'dispute', 'list'].includes(answer.kind)
  return { request, isAccepted, answer: isAccepted ? answer.kind : JSON.stringify(answer) }
}
