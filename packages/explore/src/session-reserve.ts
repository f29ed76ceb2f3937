import type { Socket } from 'node:net'
import { boundMs, Stuck } from './control.ts'
import { type Answer, type Reader, simpleQuery } from './messages.ts'

/** One session at PostgreSQL, without its client. */
export interface Session {
  readonly socket: Socket
  /** It knows that the session has started. */
  readonly read: Reader<Answer>
  readonly backendPid: number
  /** The client's first message, and the server's answer after the password. */
  readonly startup: Buffer
  readonly greeting: Buffer
}

/**
 * Sessions whose clients died or lost the connection. Each becomes as good as new and serves another client.
 *
 * No actor can tell the difference from a session that ended. A new one would cost 15 ms of CPU, half of a schedule.
 */
export class SessionReserve {
  readonly #idle: Session[] = []

  take(startup: Buffer): Session | null {
    const at = this.#idle.findIndex((session) => session.startup.equals(startup) && !session.socket.destroyed)
    return at < 0 ? null : (this.#idle.splice(at, 1)[0] ?? null)
  }

  /** Resolves when its transaction is rolled back, and its locks and settings are gone. Else it fails with `Stuck`. */
  put(session: Session): Promise<void> {
    const { socket, read } = session
    for (const event of ['data', 'close', 'error']) socket.removeAllListeners(event)
    // A close follows. Without a listener, the error itself would end the process.
    socket.on('error', () => undefined)
    socket.write(Buffer.concat(['ROLLBACK', 'DISCARD ALL'].map(simpleQuery)))
    return new Promise((resolve, reject) => {
      let answers = 0
      const late = setTimeout(() => socket.destroy(), boundMs)
      socket.once('close', () => {
        clearTimeout(late)
        reject(new Stuck('a session ended, or took too long, while it was cleaned'))
      })
      socket.on('data', (chunk) => {
        answers += read(chunk).length
        if (answers < 2) return
        clearTimeout(late)
        for (const event of ['data', 'close']) socket.removeAllListeners(event)
        this.#idle.push(session)
        resolve()
      })
    })
  }

  close(): void {
    for (const { socket } of this.#idle) socket.destroy()
  }
}

/** `startup`: the client's first message. `answer`: the server's messages from there to ReadyForQuery. */
export function startedSession(by: Pick<Session, 'socket' | 'read' | 'startup'>, { bytes }: Answer): Session {
  const authenticated = bytes.indexOf(Buffer.from('R\0\0\0\x08\0\0\0\0', 'latin1'))
  const backendKeyData = bytes.indexOf(Buffer.from('K\0\0\0\x0c', 'latin1'))
  if (authenticated < 0 || backendKeyData < 0) throw new Stuck('PostgreSQL did not start a session')
  return { ...by, greeting: bytes.subarray(authenticated), backendPid: bytes.readInt32BE(backendKeyData + 5) }
}
