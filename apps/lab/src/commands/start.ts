import { forgetCurrentStack, noteCurrentStack } from '../stack/current-stack.ts'
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
  say('starting PostgreSQL, Redis, the gateway, three replicas of payments-api, two workers and the auditor ...')
  const stack = await startStack({ root, purpose: 'start', preferFixedPorts: true, say, signal })
  try {
    noteCurrentStack(root, stack)
    say(describeStack(stack))
    await keepAlive(stack, { signal, say })
  } finally {
    forgetCurrentStack(root)
    await stack.stop()
    say('everything is stopped')
  }
  return 0
}

/** Addresses, and three lines that a person can paste into another terminal. */
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
    'Try it in another terminal. An order; its payment (send that line again: the answer is replayed); what the gateway charged:',
    '',
    `  ORDER=$(curl -s ${first}/v1/orders ${headers('try-order-1')} -d '{"customerId":"customer-1","amountMinor":4200,"currency":"EUR"}' | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); echo $ORDER`,
    `  curl -si ${second}/v1/orders/$ORDER/payments ${headers('try-payment-1')} -d '{"paymentMethod":"pm_card_visa"}'`,
    `  curl -s ${stack.gatewayUrl}/_ledger/orders/$ORDER`,
    '',
    'Load it:  npm run load -- duplicate-payments',
    'Stop it:  Ctrl-C',
    '',
  ].join('\n')
}

function addressOf(stack: Stack, name: string): string {
  if (name === 'postgres') return stack.databaseUrl
  return name === 'redis' ? stack.redisUrls.join(',') : stack.url(name)
}
