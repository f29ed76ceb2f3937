import { createFramer } from '@seatbelt/testing'
import { type Conversation, TripCounter } from './conversation.ts'

/** The server answers each of these with ReadyForQuery. */
const answeredKinds: readonly string[] = ['startup', 'sync', 'query']

/** The end of the session, and passwords: those are part of the start-up, which is answered once. */
const unansweredKinds: readonly string[] = ['terminate', 'p']

/**
 * Follows one unencrypted connection to PostgreSQL.
 *
 * A round trip is: new client bytes after ReadyForQuery came for every Sync (or simple Query) that was sent. Statements
 * that leave together are one trip, however many writes to the socket they take.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html
 */
export function followPostgres(): Conversation {
  const counter = new TripCounter()
  const readClient = createFramer('postgres', 'to-server')
  const readServer = createFramer('postgres', 'to-client')
  return {
    clientSent(chunk) {
      for (const { kind, text } of readClient(chunk)) {
        if (unansweredKinds.includes(kind)) continue
        counter.sent(describeMessage(kind, text), answeredKinds.includes(kind))
      }
    },
    serverAnswered(chunk) {
      for (const { kind } of readServer(chunk)) if (kind === 'ready') counter.answered()
    },
    get trips() {
      return counter.trips
    },
  }
}

/** The statement, once for each time it is executed. */
function describeMessage(kind: string, text: string): string | null {
  if (kind === 'startup') return 'connect'
  return kind === 'execute' || kind === 'query' ? text.replace(/\s+/g, ' ').trim() : null
}
