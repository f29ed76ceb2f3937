import { type DrainingServer, startDrainingServer } from '@seatbelt/http'
import { createApp } from './create-app.ts'
import { createSimulator, type SimulatorOptions } from './simulator.ts'

export interface StartOptions extends SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 0: a free one. */
  readonly port?: number | undefined
}

export interface RunningGateway extends AsyncDisposable {
  /** Such as `http://127.0.0.1:4010`. */
  readonly url: string
  /** Answers what is under way, for `drainMs` at most; then cuts the connections and closes the ledger. */
  close(): Promise<void>
}

/** Usual requests take 75 ms at most. What takes longer than this is a fault, whose victim expects no answer. */
const drainMs = 1_000

/**
 * Starts the simulator inside this process, for tests and for the lab. Rejects when the port is taken or the ledger
 * cannot be read.
 */
export async function start(options: StartOptions): Promise<RunningGateway> {
  const simulator = createSimulator(options)
  const host = options.host ?? '127.0.0.1'
  let server: DrainingServer
  try {
    server = await startDrainingServer({
      app: createApp(simulator, { onError: options.onError }),
      host,
      port: options.port ?? 0,
      isReady: async () => true,
    })
  } catch (error) {
    simulator.close()
    throw error
  }

  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= server.drain(drainMs).then(() => simulator.close())
    return closing
  }
  return { url: `http://${host}:${server.port}`, close, [Symbol.asyncDispose]: close }
}
