import { createFramer } from '@seatbelt/testing'
import { type Conversation, TripCounter } from './conversation.ts'

/**
 * Follows one connection to Redis: a round trip is new client bytes after the replies to all commands have come.
 *
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export function followRedis(): Conversation {
  const counter = new TripCounter()
  const readClient = createFramer('redis', 'to-server')
  let buffered: Buffer = Buffer.alloc(0)
  return {
    clientSent(chunk) {
      for (const { text } of readClient(chunk)) counter.sent(text, true)
    },
    serverAnswered(chunk) {
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
      for (let end = endOfReply(buffered, 0); end !== null; end = endOfReply(buffered, 0)) {
        // A push is no reply: it comes without a command.
        if (String.fromCharCode(buffered.readUInt8(0)) !== '>') counter.answered()
        buffered = buffered.subarray(end)
      }
    },
    get trips() {
      return counter.trips
    },
  }
}

/** How many further replies stand behind the line of an aggregate, for each element that it announces. */
const elementsOf: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2 }
const bulkTypes = ['$', '!', '=']

/** Where the reply that begins at `start` ends, or null when it is not whole yet. */
function endOfReply(bytes: Buffer, start: number): number | null {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd < 0) return null
  const type = String.fromCharCode(bytes.readUInt8(start))
  const size = Number(bytes.toString('latin1', start + 1, lineEnd))
  if (bulkTypes.includes(type)) return endOfBulk(bytes, lineEnd + 2, size)
  // An aggregate of size -1 stands for nothing, and has no elements.
  const elements = type in elementsOf ? (elementsOf[type] ?? 0) * Math.max(0, size) : 0
  let end: number | null = lineEnd + 2
  for (let left = elements; left > 0 && end !== null; left -= 1) {
    end = endOfReply(bytes, end)
  }
  return end
}

/** A size of -1 stands for nothing at all, without a body. */
function endOfBulk(bytes: Buffer, bodyStart: number, size: number): number | null {
  const end = size < 0 ? bodyStart : bodyStart + size + 2
  return bytes.length < end ? null : end
}
