import { type DemoEvent, seedDemoEvent } from '../seeds/seed-demo-event.ts'
import { type CurrentStack, forgetCurrentStack, noteCurrentStack } from '../stack/current-stack.ts'
import { developmentApiKey } from '../stack/description.ts'
import { keepAlive } from '../stack/keep-alive.ts'
import { type Stack, startStack } from '../stack/start-stack.ts'

export interface StartOptions {
  readonly root: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** Runs the stack until it is told to stop, which is how it is meant to end: exit code 0. */
export async function start({ root, signal, say }: StartOptions): Promise<number> {
  say(
    'starting PostgreSQL, Redis, the gateway, a mail sink, three replicas of payments-api and of booking-api, two workers and the auditor ...',
  )
  const stack = await startStack({ root, purpose: 'start', preferFixedPorts: true, say, signal })
  try {
    await announceStack(stack, { root, say })
    await keepAlive(stack, { signal, say })
  } finally {
    forgetCurrentStack(root)
    await stack.stop()
    say('everything is stopped')
  }
  return 0
}

/** Puts an event on sale, notes the stack for other terminals, and says how it is used; also if another one keeps it from being noted. */
export async function announceStack(stack: Stack, { root, say }: Pick<StartOptions, 'root' | 'say'>): Promise<void> {
  const event = await seedDemoEvent(stack.bookingReplicas[0] ?? '')
  const other = noteCurrentStack(root, stack)
  say(describeStack(stack, event))
  if (other !== null) say(describeOther(other))
}

export function describeOther({ pid, replicas }: CurrentStack): string {
  return [
    `Another stack runs in this checkout already: npm run load, review and reconcile mean that one (process ${pid}, ${replicas.join(', ')})`,
    'and do not find this one, not even when that one is stopped: start this one again then. The curl lines above mean this one.',
    '',
  ].join('\n')
}

/** Addresses, and lines that a person can paste into another terminal. */
export function describeStack(stack: Stack, event: DemoEvent): string {
  const addresses = stack.names.map((name) => `  ${name.padEnd(16)}${addressOf(stack, name)}`)
  const [first = '', second = first] = stack.replicas
  const [firstBooking = '', secondBooking = firstBooking] = stack.bookingReplicas
  const authorization = `-H 'Authorization: Bearer ${developmentApiKey}'`
  const headers = (key: string) => `${authorization} -H 'Idempotency-Key: ${key}' -H 'Content-Type: application/json'`
  return [
    '',
    'Running:',
    '',
    ...addresses,
    '',
    `  documentation   ${first}/docs, ${firstBooking}/docs`,
    `  logs            ${stack.run.logs}`,
    '',
    'Try it in another terminal. An order; its payment (send that line again: the answer is replayed); what the gateway charged; a refund of a part:',
    '',
    `  ORDER=$(curl -s ${first}/v1/orders ${headers('try-order-1')} -d '{"customerId":"customer-1","amountMinor":4200,"currency":"EUR"}' | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); echo $ORDER`,
    `  curl -si ${second}/v1/orders/$ORDER/payments ${headers('try-payment-1')} -d '{"paymentMethod":"pm_card_visa"}'`,
    `  curl -s ${stack.gatewayUrl}/_ledger/orders/$ORDER`,
    `  PAYMENT=$(curl -s "${first}/v1/payments?orderId=$ORDER" ${authorization} | sed 's/.*"items":\\[{"id":"\\([^"]*\\)".*/\\1/'); curl -si ${second}/v1/payments/$PAYMENT/refunds ${headers('try-refund-1')} -d '{"amountMinor":1200}'`,
    '',
    'Seats of an event that is on sale: what is free; two side by side, held for a while; both paid for; and who has which from now on:',
    '',
    `  curl -s ${firstBooking}/v1/events/${event.id}/availability ${authorization}`,
    `  HOLD=$(curl -s ${firstBooking}/v1/events/${event.id}/holds ${headers('try-hold-1')} -d '{"customerId":"customer-1","sectionId":"${event.sectionId}","quantity":2}' | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); echo $HOLD`,
    `  curl -si ${secondBooking}/v1/holds/$HOLD/checkout ${headers('try-checkout-1')} -d '{"customerId":"customer-1","paymentMethod":"pm_card_visa"}'`,
    `  curl -sN ${firstBooking}/v1/events/${event.id}/changes ${authorization}`,
    '',
    'Load it:  npm run load -- duplicate-payments',
    'Review:   npm run review       (what waits for a person)',
    'Compare:  npm run reconcile    (the gateway with our books)',
    'Stop it:  Ctrl-C',
    '',
  ].join('\n')
}

function addressOf(stack: Stack, name: string): string {
  if (name === 'postgres') return stack.databaseUrl
  return name === 'redis' ? stack.redisUrls.join(',') : stack.url(name)
}
