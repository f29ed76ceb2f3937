import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Conversation, Trip } from './conversation.ts'

export interface CountingProxy {
  /** The same address, with the proxy in the server's place. */
  through(url: string): string
  /** The trips of all connections so far, in the order in which they began. */
  readonly trips: readonly Trip[]
  close(): Promise<void>
}

/**
 * Answers are forwarded this late. A client may need several writes to its socket for statements that it sends without
 * waiting. A fast answer to the first write could pass the second one, and would make two trips of one.
 */
const answerDelayMs = 3

/** Forwards the connections of one server and follows each of them. For counting, never for timing. */
export async function startCountingProxy(serverUrl: string, follow: () => Conversation): Promise<CountingProxy> {
  const { hostname: host, port } = new URL(serverUrl)
  const conversations: Conversation[] = []
  const order: { conversation: Conversation; index: number }[] = []
  const sockets = new Set<Socket>()

  const server = createServer((client) => {
    const conversation = follow()
    conversations.push(conversation)
    const upstream = connect({ host, port: Number(port) })
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => end(client, upstream))
    }
    client.on('data', (chunk) => {
      const before = conversation.trips.length
      conversation.clientSent(chunk)
      for (let index = before; index < conversation.trips.length; index += 1) order.push({ conversation, index })
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      setTimeout(() => {
        conversation.serverAnswered(chunk)
        client.write(chunk)
      }, answerDelayMs)
    })
    client.on('end', () => upstream.end())
    upstream.on('end', () => setTimeout(() => client.end(), answerDelayMs))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy is not bound to a port')

  return {
    through(url) {
      const changed = new URL(url)
      changed.hostname = '127.0.0.1'
      changed.port = String(address.port)
      return changed.href
    },
    get trips() {
      return order.flatMap(({ conversation, index }) => conversation.trips[index] ?? [])
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function end(client: Socket, upstream: Socket): void {
  client.destroy()
  upstream.destroy()
}
