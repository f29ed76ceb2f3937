import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createApp,
  createSimulator,
  developmentApiKey,
  type EndpointDescription,
  type FaultRule,
} from '@seatbelt/gateway'

/** A request of an endpoint and its answer. */
export interface Exchange {
  readonly method: EndpointDescription['method']
  /** Below /v1, with `:id`. */
  readonly path: string
  readonly status: number
  readonly body: unknown
}

export type Form = Readonly<Record<string, string>>

export interface Asked {
  readonly id?: string
  readonly form?: Form
  readonly key?: string
  readonly apiKey?: string
}

export type Endpoint = Pick<EndpointDescription, 'method' | 'path'>

interface Held {
  readonly promise: Promise<void>
  readonly release: () => void
}

/** A simulator in this process, asked over HTTP. It keeps each exchange. */
export class SimulatorClient {
  readonly exchanges: Exchange[]
  readonly #ledgerPath: string
  #simulator: ReturnType<typeof createSimulator>
  #server: Server
  #url = ''
  #held: Held = hold()

  private constructor(ledgerPath: string, exchanges: Exchange[], maxFacts?: number) {
    this.exchanges = exchanges
    this.#ledgerPath = ledgerPath
    this.#simulator = createSimulator({
      ledgerPath,
      latencyMs: 0,
      refundChangeMs: 3_600_000,
      maxFacts,
      // Only a fault makes a request wait: until `whileInUse` lets it go on.
      sleep: (delayMs) => (delayMs > 0 ? this.#held.promise : Promise.resolve()),
    })
    this.#server = createServer(createApp(this.#simulator))
  }

  static async open(ledgerPath: string): Promise<SimulatorClient> {
    return new SimulatorClient(ledgerPath, []).#listen()
  }

  /** The same simulator, killed and started again with books that are full. It goes on with the exchanges. */
  async reopenFull(): Promise<SimulatorClient> {
    await this.close()
    return new SimulatorClient(this.#ledgerPath, this.exchanges, 1).#listen()
  }

  async #listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    this.#simulator.close()
  }

  async ask(
    endpoint: Endpoint,
    { id = '', form = {}, key, apiKey = developmentApiKey }: Asked = {},
  ): Promise<Exchange> {
    const { method, path } = endpoint
    const parameters = new URLSearchParams(form)
    const url = new URL(`/v1${path.replace(':id', id)}`, this.#url)
    if (method === 'GET') url.search = parameters.toString()
    const response = await fetch(url, {
      method,
      headers: { Authorization: `Bearer ${apiKey}`, ...(key !== undefined && { 'Idempotency-Key': key }) },
      ...(method === 'POST' && { body: parameters }),
    })
    const exchange = { method, path, status: response.status, body: await response.json() }
    this.exchanges.push(exchange)
    return exchange
  }

  /** Each request meets this fault, until `work` is done. */
  async during<Result>(fault: Pick<FaultRule, 'kind' | 'delayMs'>, work: () => Promise<Result>): Promise<Result> {
    this.#simulator.faults.replace([{ on: 'any', rate: 1, ...fault }], 1)
    try {
      return await work()
    } finally {
      this.#simulator.faults.replace([], 1)
    }
  }

  /** Sends the request twice with one key; the second arrives while the first is being worked on. */
  async askWhileInUse(endpoint: Endpoint, asked: Asked): Promise<void> {
    const key = randomUUID()
    this.#held = hold()
    await this.during({ kind: 'delay-before', delayMs: 1 }, async () => {
      const first = this.ask(endpoint, { ...asked, key })
      await until(() => this.#simulator.keysInUse.has(key))
      await this.ask(endpoint, { ...asked, key })
      this.#held.release()
      await first
    })
  }

  async control(path: string, body: object = {}): Promise<void> {
    const response = await fetch(`${this.#url}/_control${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`/_control${path} was answered ${response.status}: ${await response.text()}`)
  }
}

function hold(): Held {
  let release = () => {}
  const promise = new Promise<void>((resolve) => {
    release = resolve
  })
  return { promise, release }
}

/** A request over the loopback arrives within milliseconds; this bound is for a machine that is very busy. */
const arrivesWithinMs = 30_000

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + arrivesWithinMs
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error('a request did not arrive at the simulator')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
