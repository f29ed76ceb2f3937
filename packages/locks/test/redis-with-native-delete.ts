import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { redisLockClientOptions } from '../src/index.ts'

/**
 * A STAND-IN for a server that has `DELEX key IFEQ value` (Redis 8.4, Valkey 9.2) or `DELIFEQ key value` (Valkey 9.0),
 * because few machines have one yet: a proxy that speaks RESP, does these two by a script on the real Redis behind it,
 * tells COMMAND INFO that it has them, and passes on everything else. What a real one answers is documented at
 * redis.io/commands/delex and valkey.io/commands/delifeq: 1 or 0, or an error for a key of another type.
 */
export async function startRedisWithNativeDelete(realUrl: string, has: NativeDelete): Promise<NativeDeleteServer> {
  const seen: string[] = []
  let able: NativeDelete | 'none' | 'forbidden' = has
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    // One each, so that the order of a connection is kept, also on a real one.
    const real = new Redis(realUrl, { ...redisLockClientOptions })
    real.on('error', () => {})
    const ready = once(real, 'ready')
    let line: Promise<unknown> = ready
    let buffered = ''
    socket.on('data', (chunk) => {
      buffered += chunk.toString('latin1')
      for (let words = take(); words !== null; words = take()) {
        const [command = '', ...args] = words
        line = line.then(() => answer(real, command.toUpperCase(), args)).then((reply) => void socket.write(reply))
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      real.disconnect()
    })

    function take(): string[] | null {
      const head = /^\*(\d+)\r\n/.exec(buffered)
      if (head === null) return null
      const words: string[] = []
      let at = head[0].length
      while (words.length < Number(head[1])) {
        const size = /^\$(\d+)\r\n/.exec(buffered.slice(at))
        if (size === null) return null
        const from = at + size[0].length
        at = from + Number(size[1]) + 2
        if (buffered.length < at) return null
        words.push(buffered.slice(from, at - 2))
      }
      buffered = buffered.slice(at)
      return words
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the stand-in is not bound to a port')

  async function answer(real: Redis, command: string, args: string[]): Promise<string> {
    seen.push(command)
    try {
      if (command === 'COMMAND') {
        const isThere = (name: string) => able === name || (able === 'forbidden' && name === 'DELEX')
        return encode(args.slice(1).map((name) => (isThere(name) ? [name.toLowerCase(), -2] : null)))
      }
      if (command === 'DELEX' || command === 'DELIFEQ') {
        if (able === 'forbidden') return `-NOPERM this user has no permissions to run the '${command}' command\r\n`
        if (able !== command) return `-ERR unknown command '${command}'\r\n`
        const [key = '', ...rest] = args
        return encode(await real.eval(compareAndDelete, 1, key, rest.at(-1) ?? ''))
      }
      return encode(await real.call(command, ...args))
    } catch (error) {
      return `-${error instanceof Error ? error.message : String(error)}\r\n`
    }
  }

  return {
    url: `redis://127.0.0.1:${address.port}`,
    seen: (command) => seen.filter((one) => one === command).length,
    forget() {
      seen.length = 0
    },
    failOver(to) {
      able = to
      for (const socket of sockets) socket.destroy()
    },
    become(to) {
      able = to
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

export type NativeDelete = 'DELEX' | 'DELIFEQ'

export interface NativeDeleteServer {
  readonly url: string
  /** How often it was sent this command. */
  seen(command: string): number
  /** Begins to count anew. */
  forget(): void
  /** Cuts every connection; on the next ones another server answers. */
  failOver(to: NativeDelete | 'none'): void
  /** From now on it refuses what it has told that it has. */
  become(to: 'forbidden'): void
  close(): Promise<void>
}

const compareAndDelete = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

function encode(reply: unknown): string {
  if (reply === null || reply === undefined) return '$-1\r\n'
  if (Array.isArray(reply)) return `*${reply.length}\r\n${reply.map(encode).join('')}`
  if (typeof reply === 'number') return `:${reply}\r\n`
  const text = String(reply)
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}
