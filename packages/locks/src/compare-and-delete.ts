import { ReplyError } from 'ioredis'
import { isOne, type RedisClient, releaseScript, runScript } from './redis-scripts.ts'

/**
 * Compare-and-delete: removes a key if it still has this value, and says whether it did.
 *
 * **Guarantees**: the comparison and the deletion are one step on the server. Where the given server has a command for
 * it, that command is used: `DELEX key IFEQ value` (Redis 8.4, Valkey 9.2) or `DELIFEQ key value` (Valkey 9.0);
 * elsewhere a script. Which it is, is asked once on each connection, because after a fail-over an older server may answer
 * on the next one; until the answer is there, and whenever the command is refused, the script does it.
 *
 * **Does not guarantee**: that a command that was sent has arrived; see `give-back.ts`.
 *
 * **Fails with**: the client's errors.
 *
 * **Source**: redis.io, "DELEX"; valkey.io, "DELIFEQ" and "DELEX"; Redis, "Distributed Locks with Redis" (the script).
 */
export function compareAndDelete(client: RedisClient, key: string, value: string): Promise<boolean> {
  const { stream } = client
  const command = stream === undefined ? 'script' : commands.get(stream)
  if (command === undefined && stream !== undefined) learn(client, stream)
  if (command === undefined || command === 'script' || client.call === undefined)
    return runScript(client, releaseScript, key, value)

  const sent = command === 'DELEX' ? client.call('DELEX', key, 'IFEQ', value) : client.call('DELIFEQ', key, value)
  return sent.then(isOne, (error: unknown) => {
    if (!(error instanceof ReplyError)) throw error
    // The server has it, and this user may not use it, or something between does not let it through.
    if (stream !== undefined) commands.set(stream, 'script')
    return runScript(client, releaseScript, key, value)
  })
}

type Command = 'DELEX' | 'DELIFEQ' | 'script'

/** By connection: ioredis makes a stream for each. */
const commands = new WeakMap<object, Command>()

/** In the background: no release waits for it. */
function learn(client: RedisClient, stream: object): void {
  commands.set(stream, 'script')
  // ioredis puts its prefix before the keys of the commands that it knows, and it does not know these.
  if (client.options.keyPrefix) return
  client.call?.('COMMAND', 'INFO', 'DELEX', 'DELIFEQ').then(
    (infos) => {
      const [delex, delifeq] = Array.isArray(infos) ? infos : []
      if (Array.isArray(delex)) commands.set(stream, 'DELEX')
      else if (Array.isArray(delifeq)) commands.set(stream, 'DELIFEQ')
    },
    () => {
      // It does not let itself be asked: the script it is.
    },
  )
}
