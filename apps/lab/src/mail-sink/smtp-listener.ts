import { once } from 'node:events'
import type { Socket } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { MailStore } from './mail-store.ts'

/**
 * What the sink does to the next messages instead of answering 250. `drop-answer`: keeps the message and hangs up. `hang`: keeps it
 * and says nothing. `trickle`: keeps it and never stops answering. `refuse`: keeps nothing, and says so with `code`.
 */
export interface MailFault {
  readonly kind: 'drop-answer' | 'hang' | 'trickle' | 'refuse'
  /** Of `refuse`: 4yz asks for another try, 5yz for none. */
  readonly code: number
  /** How many messages it strikes. */
  readonly times: number
}

export interface SmtpListener {
  readonly port: number
  /** Replaces what was set before. */
  setFaults(faults: readonly MailFault[]): void
  close(): Promise<void>
}

export interface SmtpListenerOptions {
  readonly host: string
  readonly port: number
  readonly store: MailStore
  /** Gets every message that was kept, as it came. */
  readonly onKept?: (mail: { readonly from: string; readonly to: readonly string[]; readonly raw: Buffer }) => void
}

/** A receipt has 1 KB. */
const maxMessageBytes = 1024 * 1024
/** The sink is asked by a handful of relays. */
const maxClients = 200
/** Shorter than any idle time-out, so that only a whole deadline ends it. */
const trickleEveryMs = 50
/** At the end, for connections that are in the middle of something. */
const closeWithinMs = 1_000

/** A real SMTP server that delivers nothing: it keeps what it gets, and misbehaves when it is told to. */
export async function startSmtpListener(options: SmtpListenerOptions): Promise<SmtpListener> {
  const { host, port, store, onKept } = options
  const faults: { left: number; readonly fault: MailFault }[] = []
  const sockets = new Map<string, Socket>()
  const nextFault = () => {
    const armed = faults.find(({ left }) => left > 0)
    if (armed === undefined) return null
    armed.left -= 1
    return armed.fault
  }

  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    size: maxMessageBytes,
    maxClients,
    closeTimeout: closeWithinMs,
    onData: (stream, session, answer) => {
      readWhole(stream).then((raw) => {
        if (stream.sizeExceeded) return answer(refusal(552, 'the message is too large'))
        const fault = nextFault()
        if (fault?.kind === 'refuse') return answer(refusal(fault.code, 'the sink was told to refuse'))
        const from = session.envelope.mailFrom ? session.envelope.mailFrom.address : ''
        const to = session.envelope.rcptTo.map(({ address }) => address)
        store.keep({ ...headersOf(raw), sender: from, recipients: to, bytes: raw.length, fault: fault?.kind ?? null })
        onKept?.({ from, to, raw })
        if (fault === null) return answer(null, 'kept')
        strike(fault, sockets.get(endOf(session)))
      }, answer)
    },
  })
  server.on('error', () => undefined)
  server.server.on('connection', (socket: Socket) => {
    const end = endOf(socket)
    sockets.set(end, socket)
    socket.once('close', () => sockets.delete(end))
  })
  server.listen(port, host)
  await once(server.server, 'listening')
  const address = server.server.address()
  if (address === null || typeof address === 'string') throw new Error('the mail sink is not bound to a port')

  return {
    port: address.port,
    setFaults: (next) => {
      faults.splice(0, faults.length, ...next.map((fault) => ({ fault, left: fault.times })))
    },
    close: async () => {
      for (const socket of sockets.values()) socket.destroy()
      await new Promise<void>((resolve) => server.close(resolve))
    },
  }
}

function strike({ kind }: MailFault, socket: Socket | undefined): void {
  if (kind === 'drop-answer') socket?.destroy()
  if (kind !== 'trickle' || socket === undefined) return
  // Lines of an answer that goes on: each says with its dash that another one follows.
  const timer = setInterval(() => socket.write('250-still working\r\n'), trickleEveryMs)
  socket.once('close', () => clearInterval(timer))
}

/** A connection by its client's end, which the server's sessions know too. */
function endOf({
  remoteAddress,
  remotePort,
}: Pick<Socket | SMTPServerSession, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress?.replace(/^::ffff:/, '')} ${remotePort}`
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

async function readWhole(stream: SMTPServerDataStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // The rest is read and thrown away: the answer comes only after the end.
    if (bytes <= maxMessageBytes) chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The two that are looked at. A header may be folded: its lines but for the first begin with a space. */
function headersOf(raw: Buffer): { readonly messageId: string | null; readonly subject: string | null } {
  const [head = ''] = raw.toString('utf8').split('\r\n\r\n', 1)
  const unfolded = head.replace(/\r\n[ \t]+/g, ' ')
  const value = (name: string) => new RegExp(`^${name}:[ \\t]*(.*?)\\s*$`, 'im').exec(unfolded)?.[1] ?? null
  return { messageId: value('message-id'), subject: value('subject') }
}
