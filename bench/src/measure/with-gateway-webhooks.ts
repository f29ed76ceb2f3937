import { setTimeout as sleep } from 'node:timers/promises'
import { gateway, webhookPath } from '@seatbelt/lab/stack/description.ts'
import type { BenchStack } from '../systems/start-bench-stack.ts'

/** Deliveries that are still owed must not run into the next measurement. */
const deliveredWithinMs = 30_000
const lookAgainMs = 100

/** Has the simulator deliver its events to the measured replica while `work` runs, and until all are delivered. */
export async function withGatewayWebhooks<T>(bench: BenchStack, work: () => Promise<T>): Promise<T> {
  const [origin = ''] = bench.target('seatbelt-webhooks', 'payment').origins
  const secrets = [gateway.environment.GATEWAY_WEBHOOK_SECRETS ?? '']
  await control(bench, { urls: [`${origin}${webhookPath}`], secrets })
  try {
    return await work()
  } finally {
    await waitForDeliveries(bench)
    await control(bench, { urls: [], secrets: [] })
  }
}

async function waitForDeliveries(bench: BenchStack): Promise<void> {
  const deadlineMs = performance.now() + deliveredWithinMs
  while (performance.now() < deadlineMs) {
    const { owed } = (await control(bench)) as { owed: number }
    if (owed === 0) return
    await sleep(lookAgainMs)
  }
}

/** Without a body: how the webhooks stand. */
async function control(bench: BenchStack, body?: object): Promise<unknown> {
  const response = await fetch(`${bench.gatewayTarget().origins[0]}/_control/webhooks`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok)
    throw new Error(`the simulator's webhooks cannot be set: ${response.status} ${await response.text()}`)
  return response.json()
}
