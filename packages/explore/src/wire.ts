import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { ServerName } from './contract.ts'
import {
  type Answer,
  answerReader,
  asAutocommitted,
  type Message,
  messageReader,
  type Rewrite,
  simpleQuery,
  withSqlState,
} from './messages.ts'
import { type Session, type SessionReserve, startedSession } from './session-reserve.ts'

/** A message that waits for the scheduler. */
export interface HeldMessage {
  readonly message: Pick<Message, 'server' | 'text'>
  readonly link: Link
}

export interface WireEvents {
  /** A message arrived from the client, or a connection changed. */
  readonly onChange: () => void
}

/** The proxy between one actor and one server. It forwards a message when the scheduler says so, and not before. */
export class Wire {
  readonly server: ServerName
  readonly #target: URL
  readonly #rewrite: Rewrite
  readonly #events: WireEvents
  readonly #listener: Server
  readonly links = new Set<Link>()
  /** Forwards everything at once, so that an actor can open its connections. */
  isHolding = false

  constructor(server: ServerName, target: string, rewrite: Rewrite, reserve: SessionReserve, events: WireEvents) {
    this.server = server
    this.#target = new URL(target)
    this.#rewrite = rewrite
    this.#events = events
    this.#listener = createServer({ pauseOnConnect: true }, (client) => {
      const { hostname: host, port } = this.#target
      const link = new Link({
        server,
        reserve,
        client: client.setNoDelay(true),
        open: () => connect({ host, port: Number(port), noDelay: true }),
        rewrite: this.#rewrite,
        onChange: () => {
          if (link.isOver) this.links.delete(link)
          if (this.isHolding) this.#events.onChange()
          else pass(link)
        },
      })
      this.links.add(link)
      client.resume()
    })
  }

  /** Resolves with the address for the actor. */
  async open(): Promise<string> {
    this.#listener.listen(0, '127.0.0.1')
    await once(this.#listener, 'listening')
    const address = this.#listener.address()
    const url = new URL(this.#target)
    url.hostname = '127.0.0.1'
    url.port = String(typeof address === 'object' ? address?.port : '')
    return this.server === 'gateway' ? url.origin : url.href
  }

  async close(): Promise<void> {
    for (const link of this.links) link.cut()
    this.#listener.close()
    await once(this.#listener, 'close')
  }
}

/** Forwards what the client has sent, one message after the other. */
function pass(link: Link): void {
  if (link.next === null) return
  void link.deliver().then((answer) => {
    link.answer(answer)
    pass(link)
  })
}

interface LinkOptions {
  readonly server: ServerName
  readonly reserve: SessionReserve
  readonly client: Socket
  /** Connects to the server. */
  readonly open: () => Socket
  readonly rewrite: Rewrite
  readonly onChange: () => void
}

/** One connection. Of its messages, one at a time is with the server. */
export class Link {
  readonly server: ServerName
  /** The session at PostgreSQL behind it, once it has started. */
  #session: Session | null = null
  isOver = false
  /** The SQLSTATE that the client reads instead of a cancellation. */
  renameCancellation: string | null = null
  readonly #client: Socket
  readonly #reserve: SessionReserve
  readonly #onChange: () => void
  readonly #open: () => Socket
  /** Null: PostgreSQL's client has not said who it is, or its session went into the reserve. */
  #upstream: Socket | null = null
  #startup: Buffer = Buffer.alloc(0)
  readonly #held: Message[] = []
  #isAwaited = false
  #answered: ((answer: Answer) => void) | null = null
  #handshakes = 0
  /** For the answers to what this link sent on its own. */
  readonly #swallow: ((answer: Answer) => void)[] = []
  #status = 'I'
  #isAutocommitting = false
  /** An autocommitted write that was executed. Its client reads the answer when its COMMIT is done. */
  #uncommitted: Answer | null = null
  #isSilent = false

  constructor({ server, reserve, client, open, rewrite, onChange }: LinkOptions) {
    this.server = server
    this.#client = client
    this.#reserve = reserve
    this.#onChange = onChange
    this.#open = open
    if (server !== 'postgres') this.#attach(open())
    const read = messageReader(server, rewrite)
    client.on('data', (chunk: Buffer) => {
      for (const message of read(chunk)) this.#take(message)
    })
    client.on('error', () => this.cut())
    client.on('close', () => this.cut())
  }

  #attach(upstream: Socket, read = answerReader(this.server)): void {
    this.#upstream = upstream
    upstream.on('data', (chunk: Buffer) => {
      // The start of a session is a conversation of its own.
      const isStart = this.server === 'postgres' && !this.#session
      if (isStart) this.#client.write(chunk)
      for (const answer of read(chunk)) {
        if (isStart) this.#session = startedSession({ socket: upstream, read, startup: this.#startup }, answer)
        this.#receive(answer, isStart)
      }
    })
    upstream.on('error', () => this.cut())
    upstream.on('close', () => this.cut())
  }

  /** The process of PostgreSQL behind it. */
  get backendPid(): number | null {
    return this.#session?.backendPid ?? null
  }

  /** The next message, if the server is free to take it. */
  get next(): Pick<Message, 'server' | 'text'> | null {
    if (this.#isSilent || this.#isAwaited || this.#handshakes > 0) return null
    return this.#uncommitted ? { server: this.server, text: 'COMMIT' } : (this.#held[0] ?? null)
  }

  /** A message is with the server, and its answer has not arrived. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  /** Forwards the next message. Resolves with its answer, which the client does not have yet. */
  deliver(): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => {
      this.#answered = resolve
    })
    this.#isAwaited = true
    if (this.#uncommitted) this.#upstream?.write(simpleQuery('COMMIT'))
    else this.#send(this.#held.shift())
    return answer
  }

  /** Gives the client the answer. Of an autocommitted write there is none yet: its COMMIT becomes the next message. */
  answer(given: Answer): void {
    if (given.status !== null) this.#status = given.status
    if (this.#uncommitted) {
      const write = this.#uncommitted
      this.#uncommitted = null
      this.#client.write(given.label === 'COMMIT' ? asAutocommitted(write).bytes : given.bytes)
    } else if (this.#isAutocommitting) this.#afterWrite(given)
    else this.#client.write(given.bytes)
    this.#passHandshakes()
  }

  /** Ends the connection on both sides. The client notices, unless it is dead. */
  cut(): void {
    if (this.isOver || this.#isSilent) return
    this.isOver = true
    this.#upstream?.destroy()
    this.#client.destroy()
    this.#onChange()
  }

  /** As if the client's host had died: the server's side ends, and the client reads nothing any more. */
  async die(): Promise<number | null> {
    this.#isSilent = true
    return this.leaveServer()
  }

  /** Ends the server's side. Resolves with the process that still has to end, if a statement is at work in it. */
  async leaveServer(): Promise<number | null> {
    const [session, upstream] = [this.#session, this.#upstream]
    const isBusy = this.#isAwaited || this.#handshakes > 0 || this.#swallow.length > 0
    this.#session = null
    this.#upstream = null
    if (session && !isBusy) await this.#reserve.put(session)
    else upstream?.destroy()
    return session && isBusy ? session.backendPid : null
  }

  /** Ends the client's side of a dead connection. */
  bury(): void {
    this.#isSilent = false
    this.cut()
  }

  #send(message: Message | undefined): void {
    if (!message) throw new Error('there is no message to deliver')
    this.#isAutocommitting = this.server === 'postgres' && this.#status === 'I' && isWrite(message.text)
    if (this.#isAutocommitting) {
      this.#upstream?.write(simpleQuery('BEGIN'))
      this.#swallow.push(() => undefined)
    }
    this.#upstream?.write(message.bytes)
  }

  #afterWrite(given: Answer): void {
    this.#isAutocommitting = false
    if (!given.label.startsWith('error')) {
      this.#uncommitted = given
      return
    }
    // PostgreSQL reads ROLLBACK before all that follows.
    this.#status = 'I'
    this.#swallow.push(() => undefined)
    this.#upstream?.write(simpleQuery('ROLLBACK'))
    this.#client.write(asAutocommitted(given).bytes)
  }

  #take(message: Message): void {
    if (this.server === 'postgres' && !this.#upstream && this.#start(message)) return
    this.#held.push(message)
    this.#passHandshakes()
    this.#onChange()
  }

  /** Whether a session of the reserve serves this client from now on. */
  #start({ bytes: startup }: Message): boolean {
    this.#startup = startup
    this.#session = this.#reserve.take(startup)
    this.#attach(this.#session?.socket ?? this.#open(), this.#session?.read)
    if (this.#session) this.#client.write(this.#session.greeting)
    return this.#session !== null
  }

  /** Each in its turn: what was sent before it goes first. */
  #passHandshakes(): void {
    while (this.#held[0]?.isHandshake && !this.#isAwaited && !this.#uncommitted) {
      this.#handshakes += 1
      this.#upstream?.write((this.#held.shift() as Message).bytes)
    }
  }

  #receive(answer: Answer, isStart: boolean): void {
    const swallow = this.#swallow.shift()
    if (swallow) {
      swallow(answer)
      return
    }
    if (this.#handshakes > 0) {
      if (!isStart) this.#client.write(answer.bytes)
      this.#handshakes = isStart ? 0 : this.#handshakes - 1
      if (answer.status !== null) this.#status = answer.status
      this.#onChange()
      return
    }
    this.#isAwaited = false
    const renamed = this.renameCancellation ? withSqlState(answer, this.renameCancellation) : answer
    this.renameCancellation = null
    this.#answered?.(renamed)
  }
}

/** Reads need no transaction of their own: no other actor can act in the middle of one statement. */
function isWrite(text: string): boolean {
  return /\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CALL|FOR (KEY )?SHARE)\b/i.test(text)
}
