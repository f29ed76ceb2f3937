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
    'starting PostgreSQL, Redis, the gateway, a mail sink, three replicas of payments-api, two workers and the auditor ...',
  )
  const stack = await startStack({ root, purpose: 'start', preferFixedPorts: true, say, signal })
  try {
    announceStack(stack, { root, say })
    await keepAlive(stack, { signal, say })
  } finally {
    forgetCurrentStack(root)
    await stack.stop()
    say('everything is stopped')
  }
  return 0
}

/** Notes the stack for other terminals, and says how it is used; also if another one keeps it from being noted. */
export function announceStack(stack: Stack, { root, say }: Pick<StartOptions, 'root' | 'say'>): void {
  const other = noteCurrentStack(root, stack)
  say(describeStack(stack))
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
export function describeStack(stack: Stack): string {
  const addresses = stack.names.map((name) => `  ${name.padEnd(16)}${addressOf(stack, name)}`)
  const [first = '', second = first] = stack.replicas
  const headers = (key: string) =>
    `-H 'Authorization: Bearer ${developmentApiKey}' -H 'Idempotency-Key: ${key}' -H 'Content-Type: application/json'`
  return [
    '',
    'Running:',
    '',
    ...addresses,
    '',
    `  documentation   ${first}/docs`,
    `  logs            ${stack.run.logs}`,
    '',
    'Try it in another terminal. An order; its payment (send that line again: the answer is replayed); what the gateway charged; a refund of a part:',
    '',
    `  ORDER=$(curl -s ${first}/v1/orders ${headers('try-order-1')} -d '{"customerId":"customer-1","amountMinor":4200,"currency":"EUR"}' | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); echo $ORDER`,
    `  curl -si ${second}/v1/orders/$ORDER/payments ${headers('try-payment-1')} -d '{"paymentMethod":"pm_card_visa"}'`,
    `  curl -s ${stack.gatewayUrl}/_ledger/orders/$ORDER`,
    `  PAYMENT=$(curl -s "${first}/v1/payments?orderId=$ORDER" -H 'Authorization: Bearer ${developmentApiKey}' | sed 's/.*"items":\\[{"id":"\\([^"]*\\)".*/\\1/'); curl -si ${second}/v1/payments/$PAYMENT/refunds ${headers('try-refund-1')} -d '{"amountMinor":1200}'`,
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
