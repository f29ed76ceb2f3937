import { randomUUID } from 'node:crypto'
import { describeStripeEndpoints, type EndpointDescription } from '@seatbelt/gateway'
import { type Asked, type Endpoint, type Exchange, type Form, SimulatorClient } from './simulator-client.ts'

/** Answers of every endpoint of the simulator, with every status that it has, and its objects in every state. */
export async function collectSimulatorAnswers(ledgerPath: string): Promise<readonly Exchange[]> {
  let client = await SimulatorClient.open(ledgerPath)
  try {
    await visitStates(client)
    for (const endpoint of describeStripeEndpoints()) await misuse(client, endpoint)
    // Prepared while it can still be written down.
    const changes = describeStripeEndpoints().filter(({ method }) => method === 'POST')
    const prepared = await inTurn(changes, async (endpoint) => ({ endpoint, asked: await validFor(client, endpoint) }))
    client = await client.reopenFull()
    for (const { endpoint, asked } of prepared) await client.ask(endpoint, asked)
    return client.exchanges
  } finally {
    await client.close()
  }
}

export function nameOf({ method, path }: Endpoint): string {
  return `${method} ${path}`
}

/** The statuses that an endpoint can answer. */
export function statusesOf({ method, path }: Endpoint): readonly number[] {
  const asksBank = ['/payment_intents', '/payment_intents/:id/confirm', '/payment_methods/:id/attach'].includes(path)
  return [
    ...[200, 400, 401],
    ...(method === 'POST' && asksBank ? [402] : []),
    403,
    ...(path.includes(':id') ? [404] : []),
    ...(method === 'POST' ? [409] : []),
    ...[429, 500],
    ...(method === 'POST' ? [503] : []),
  ]
}

const post = (path: string) => ({ method: 'POST', path }) as const
const get = (path: string) => ({ method: 'GET', path }) as const
const create = post('/payment_intents')
const confirm = post('/payment_intents/:id/confirm')
const capture = post('/payment_intents/:id/capture')
const cancel = post('/payment_intents/:id/cancel')
const refund = post('/refunds')
const attach = post('/payment_methods/:id/attach')

const order: Form = { amount: '4200', currency: 'eur', 'metadata[orderId]': 'order-1' }
const visa: Form = { ...order, payment_method: 'pm_card_visa' }
const withCharge: Form = { 'expand[0]': 'latest_charge' }

/** The id of what was made; fails where the simulator did not make it. */
async function made(client: SimulatorClient, endpoint: Endpoint, asked: Asked): Promise<string> {
  const { status, body } = await client.ask(endpoint, asked)
  const id = typeof body === 'object' && body !== null && 'id' in body ? body.id : undefined
  if (status !== 200 || typeof id !== 'string') throw new Error(`${nameOf(endpoint)} was answered ${status}`)
  return id
}

const intent = (client: SimulatorClient, form: Form = visa) => made(client, create, { form })
const paid = (client: SimulatorClient, form: Form = {}) => intent(client, { ...visa, confirm: 'true', ...form })
const onHold = (client: SimulatorClient, form: Form = {}) => paid(client, { capture_method: 'manual', ...form })

/** A request that the endpoint does. */
const valid: Readonly<Record<string, (client: SimulatorClient) => Promise<Asked>>> = {
  'POST /payment_intents': async () => ({ form: visa }),
  'POST /payment_intents/:id/confirm': async (client) => ({ id: await intent(client), form: withCharge }),
  'POST /payment_intents/:id/capture': async (client) => ({ id: await onHold(client) }),
  'POST /payment_intents/:id/cancel': async (client) => ({ id: await intent(client) }),
  'GET /payment_intents': async () => ({ form: { 'expand[0]': 'data.latest_charge', limit: '100' } }),
  'GET /payment_intents/:id': async (client) => ({ id: await paid(client), form: withCharge }),
  'GET /charges': async () => ({ form: { limit: '100' } }),
  'GET /charges/:id': async (client) => ({ id: await newestId(client, '/charges') }),
  'POST /refunds': async (client) => ({ form: { payment_intent: await paid(client), amount: '1200' } }),
  'GET /refunds': async () => ({ form: { limit: '100' } }),
  'GET /refunds/:id': async (client) => ({ id: await newestId(client, '/refunds') }),
  'GET /disputes': async () => ({ form: { limit: '100' } }),
  'GET /disputes/:id': async (client) => ({ id: await newestId(client, '/disputes') }),
  'POST /customers': async () => ({ form: { name: 'Ada', email: 'ada@example.com', 'metadata[accountId]': 'a' } }),
  'GET /customers/:id': async (client) => ({ id: await made(client, post('/customers'), {}) }),
  'GET /customers/:id/payment_methods': async (client) => ({ id: await customerWithCard(client) }),
  'POST /payment_methods/:id/attach': async (client) => {
    return { id: 'pm_card_visa', form: { customer: await made(client, post('/customers'), {}) } }
  },
  'GET /account': async () => ({}),
  'GET /events': async () => ({ form: { limit: '100' } }),
  'GET /events/:id': async (client) => ({ id: await newestId(client, '/events') }),
}

function validFor(client: SimulatorClient, endpoint: Endpoint): Promise<Asked> {
  const prepare = valid[nameOf(endpoint)]
  if (!prepare) throw new Error(`${nameOf(endpoint)} has no request here that it does`)
  return prepare(client)
}

async function newestId(client: SimulatorClient, path: string): Promise<string> {
  const { body } = await client.ask(get(path), { form: { limit: '1' } })
  return (body as { data: readonly { id: string }[] }).data[0]?.id ?? ''
}

async function customerWithCard(client: SimulatorClient): Promise<string> {
  const customer = await made(client, post('/customers'), {})
  await made(client, attach, { id: 'pm_card_mastercard', form: { customer } })
  return customer
}

/** Brings intents, charges, refunds and disputes into each of their states, and reads them there. */
async function visitStates(client: SimulatorClient): Promise<void> {
  for (const card of ['pm_card_visa_chargeDeclined', 'pm_card_chargeDeclinedExpiredCard']) {
    const declined = await intent(client, order)
    await client.ask(confirm, { id: declined, form: { payment_method: card } })
    await client.ask(get('/payment_intents/:id'), { id: declined, form: withCharge })
    await client.ask(create, { form: { ...order, payment_method: card, confirm: 'true' } })
    const customer = await made(client, post('/customers'), {})
    await client.ask(attach, { id: card, form: { customer } })
  }
  const asked = await intent(client, { ...order, payment_method: 'pm_card_authenticationRequired' })
  await client.ask(confirm, { id: asked, form: { return_url: 'https://shop.example.com' } })
  await client.ask(confirm, { id: asked, form: { error_on_requires_action: 'true' } })
  await client.ask(confirm, { id: asked, form: { off_session: 'true' } })

  await client.ask(capture, { id: await onHold(client), form: { ...withCharge, amount_to_capture: '4100' } })
  await client.ask(cancel, { id: await onHold(client), form: { ...withCharge, cancellation_reason: 'abandoned' } })
  await client.ask(capture, { id: await onHold(client, { payment_method: 'pm_card_seatbelt_captureFails' }) })
  await client.ask(confirm, { id: await paid(client) })

  await made(client, refund, { form: { payment_intent: await paid(client), reason: 'duplicate' } })
  await made(client, refund, {
    form: { payment_intent: await paid(client, { payment_method: 'pm_card_pendingRefund' }) },
  })
  const failing = await made(client, refund, { form: { payment_intent: await paid(client) } })
  await client.control(`/refunds/${failing}/fail`, { failureReason: 'lost_or_stolen_card' })
  await client.ask(get('/refunds/:id'), { id: failing })

  for (const steps of [[], ['review'], ['win'], ['lose']]) await dispute(client, {}, steps)
  for (const steps of [[], ['close'], ['escalate', 'lose']]) await dispute(client, { inquiry: true }, steps)
}

/** Opens a dispute, takes it through these steps, and reads it and its charge after each. */
async function dispute(client: SimulatorClient, how: object, steps: readonly string[]): Promise<void> {
  const paymentIntent = await paid(client)
  await client.control('/disputes', { paymentIntent, ...how })
  const id = await newestId(client, '/disputes')
  for (const step of ['', ...steps]) {
    if (step !== '') await client.control(`/disputes/${id}/${step}`)
    await client.ask(get('/disputes/:id'), { id })
    await client.ask(get('/payment_intents/:id'), { id: paymentIntent, form: withCharge })
  }
}

/** Asks the endpoint once as it should be, and in every way that it refuses. */
async function misuse(client: SimulatorClient, endpoint: EndpointDescription): Promise<void> {
  const { method, path } = endpoint
  const asked = await validFor(client, endpoint)
  await client.ask(endpoint, { ...asked, apiKey: 'sk_test_of_nobody' })
  await client.ask(endpoint, { ...asked, form: { ...asked.form, unheard_of: '1' } })
  if (path.includes(':id')) await client.ask(endpoint, { ...asked, id: 'none_1' })
  for (const kind of ['unauthorized', 'forbidden', 'refuse', 'rate-limit', 'error-before'] as const)
    await client.during({ kind, delayMs: 0 }, () => client.ask(endpoint, asked))
  if (method === 'GET') {
    await client.ask(endpoint, asked)
    return
  }
  const key = randomUUID()
  await client.ask(endpoint, { ...asked, key })
  await client.ask(endpoint, { ...asked, key })
  await client.ask(endpoint, { ...asked, key, form: { ...asked.form, 'metadata[other]': '1' } })
  await client.askWhileInUse(endpoint, await validFor(client, endpoint))
}

async function inTurn<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = []
  for (const item of items) results.push(await work(item))
  return results
}
