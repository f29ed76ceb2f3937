import type { Database } from '@seatbelt/database'
import type { Logger } from '@seatbelt/http'
import { type Channel, createRelay, type Message, processRuntime, type RelayTimes } from '@seatbelt/payments'
import { Counter, Gauge, type Registry } from 'prom-client'
import { runLanes } from './run-lanes.ts'

export interface RelaysOptions {
  readonly database: Database
  /** How each channel sends; null: it is off, and its messages wait. */
  readonly send: Readonly<Record<Channel, ((message: Message) => Promise<void>) | null>>
  /** Messages at once on each channel: what hangs on one is not in the way of the other. */
  readonly lanes: number
  readonly idlePauseMs: number
  readonly times: RelayTimes
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly registry: Registry
}

/** Sends what is due on each channel until the signal fires, and resolves when the last message under way is marked. */
export async function runRelays(options: RelaysOptions): Promise<void> {
  const { database, send, lanes, idlePauseMs, times, signal, logger, registry } = options
  const relayed = new Counter({
    name: 'outbox_messages_total',
    help: 'Tries to send a message, by channel and by what came of them: sent, failed, dead, superseded, late, fault.',
    labelNames: ['channel', 'result'],
    registers: [registry],
  })
  measureOutbox(database, registry)

  const runChannel = async (channel: Channel) => {
    const sendOne = send[channel]
    if (sendOne === null) return logger.warn({ channel }, 'nothing is sent on this channel: its messages wait')
    const reportFault = (err: unknown, messageId: string) =>
      logger.error({ err, channel, messageId }, 'a message met a fault on our side')
    const relay = createRelay({
      ...{ ...times, database, runtime: processRuntime, channel, send: sendOne, reportFault },
      // One mail server takes all receipts; each account has an endpoint of its own.
      ...(channel === 'webhook' && { perAccount: Math.max(1, lanes - 1) }),
    })
    const step = async () => {
      const done = await relay()
      if (done === null) return false
      relayed.inc({ channel, result: done.result })
      if (done.result !== 'sent')
        logger.warn({ channel, messageId: done.id, result: done.result, error: done.error }, 'message not sent')
      return true
    }
    const onFault = (err: unknown) => {
      relayed.inc({ channel, result: 'fault' })
      logger.error({ err, channel }, 'relaying failed; the message is due again when its lease is over')
    }
    await runLanes({ step, lanes, idlePauseMs, signal, onFault })
  }
  await Promise.all([runChannel('receipt'), runChannel('webhook')])
}

/** Read when somebody asks us, by the partial indexes: the same figures from every copy. */
function measureOutbox(database: Database, registry: Registry): void {
  measure(registry, {
    name: 'outbox_oldest_unsent_seconds',
    help: 'Age of the oldest message that is neither sent nor given up.',
    read: () =>
      database.statement(
        (client) => client.$queryRaw<Figure[]>`
        SELECT channels.channel, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS value
          FROM (VALUES ('receipt'), ('webhook')) AS channels (channel)
          LEFT JOIN outbox ON outbox.channel = channels.channel AND published_at IS NULL AND dead_at IS NULL
         GROUP BY channels.channel`,
      ),
  })
  measure(registry, {
    name: 'outbox_dead_messages',
    help: 'Messages that were given up and wait for a person.',
    read: () =>
      database.statement(
        (client) => client.$queryRaw<Figure[]>`
        SELECT channels.channel, count(outbox.id)::float8 AS value
          FROM (VALUES ('receipt'), ('webhook')) AS channels (channel)
          LEFT JOIN outbox ON outbox.channel = channels.channel AND dead_at IS NOT NULL
         GROUP BY channels.channel`,
      ),
  })
}

interface Figure {
  readonly channel: Channel
  readonly value: number
}

interface Measured {
  readonly name: string
  readonly help: string
  readonly read: () => Promise<readonly Figure[]>
}

function measure(registry: Registry, { name, help, read }: Measured): void {
  new Gauge({
    ...{ name, help, labelNames: ['channel'], registers: [registry] },
    async collect() {
      this.reset()
      // A database that is away must not take the other figures with it.
      for (const { channel, value } of await read().catch(() => [])) this.set({ channel }, value)
    },
  })
}
