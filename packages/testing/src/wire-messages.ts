/** One whole message, as far as a test may want to recognize it. */
export interface WireMessage {
  /**
   * - `postgres`: `query` (simple), `parse`, `bind`, `execute`, `sync`, `startup`, `terminate`; of the server
   *   `complete`, `ready`, `error`, `notice`; else the message's letter
   * - `redis`: the command in upper case
   * - `http`: the method
   * - `raw`, and what other servers than PostgreSQL send: `chunk`
   */
  readonly kind: string
  /**
   * The SQL (`execute` has that of its portal), the tag of a `complete`, the transaction status of a `ready`; the
   * command with its arguments; path, blank line and body; the bytes.
   */
  readonly text: string
}

export interface FramedMessage extends WireMessage {
  readonly bytes: Buffer
}

export type Protocol = 'postgres' | 'redis' | 'http' | 'raw'

/** Takes the bytes of one side of a connection as they come, and returns the messages that are whole by now. */
export type Framer = (chunk: Buffer) => FramedMessage[]

/** A single message longer than this is no test's; it means that the framing went wrong. */
const maxMessageBytes = 16 * 1024 * 1024

/** Reads the first message, or says `null` when it is not whole yet. */
type ReadMessage = (buffered: Buffer) => { length: number; message: WireMessage } | null

export function createFramer(protocol: Protocol, direction: 'to-server' | 'to-client'): Framer {
  const read =
    direction === 'to-server' ? readers[protocol]() : protocol === 'postgres' ? postgresServerReader() : readChunk
  return frameBy(protocol, read)
}

/** As `createFramer`, for whole answers of Redis and of HTTP servers that send a Content-Length. */
export function createAnswerFramer(protocol: 'redis' | 'http'): Framer {
  return frameBy(protocol, protocol === 'redis' ? readRedisReply : readHttpAnswer)
}

function frameBy(protocol: Protocol, read: ReadMessage): Framer {
  let buffered: Buffer = Buffer.alloc(0)

  return (chunk) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
    const messages: FramedMessage[] = []
    while (buffered.length > 0) {
      const first = read(buffered)
      if (first === null) break
      messages.push({ ...first.message, bytes: buffered.subarray(0, first.length) })
      buffered = buffered.subarray(first.length)
    }
    if (buffered.length > maxMessageBytes)
      throw new Error(`no end of a ${protocol} message in ${buffered.length} bytes`)
    return messages
  }
}

const readers: Record<Protocol, () => ReadMessage> = {
  postgres: postgresReader,
  redis: () => readRedis,
  http: () => readHttp,
  raw: () => readChunk,
}

function readChunk(buffered: Buffer): ReturnType<ReadMessage> {
  return { length: buffered.length, message: { kind: 'chunk', text: buffered.toString('latin1') } }
}

const postgresKinds: Readonly<Record<string, string>> = {
  Q: 'query',
  P: 'parse',
  B: 'bind',
  E: 'execute',
  S: 'sync',
  X: 'terminate',
}
/** Requests that come before the start-up message and look like one. */
const sslRequest = 80877103
const gssRequest = 80877104

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
function postgresReader(): ReadMessage {
  const statements = new Map<string, string>()
  const portals = new Map<string, string>()
  let isStarted = false

  return (buffered) => {
    // The messages before the session have no letter in front of their length.
    const head = isStarted ? 1 : 0
    if (buffered.length < head + 4) return null
    const length = head + buffered.readInt32BE(head)
    if (buffered.length < length) return null
    const body = buffered.subarray(head + 4, length)
    if (!isStarted) {
      const code = body.readInt32BE(0)
      isStarted = code !== sslRequest && code !== gssRequest
      return { length, message: { kind: 'startup', text: '' } }
    }
    const letter = String.fromCharCode(buffered[0] ?? 0)
    return { length, message: { kind: postgresKinds[letter] ?? letter, text: sqlOf(letter, body) } }
  }

  function sqlOf(letter: string, body: Buffer): string {
    const [first, second] = leadingStrings(body)
    switch (letter) {
      case 'Q':
        return first
      case 'P':
        statements.set(first, second)
        return second
      case 'B':
        portals.set(first, statements.get(second) ?? '')
        return portals.get(first) ?? ''
      case 'E':
        return portals.get(first) ?? ''
      default:
        return ''
    }
  }
}

const postgresServerKinds: Readonly<Record<string, string>> = { C: 'complete', Z: 'ready', E: 'error', N: 'notice' }

function postgresServerReader(): ReadMessage {
  let isStarted = false

  return (buffered) => {
    const letter = String.fromCharCode(buffered[0] ?? 0)
    // The answer to a request for encryption is a single letter. No session begins with a message of these letters.
    if (!isStarted && 'SN'.includes(letter)) return { length: 1, message: { kind: letter, text: '' } }
    if (buffered.length < 5) return null
    const length = 1 + buffered.readInt32BE(1)
    if (buffered.length < length) return null
    isStarted = true
    const hasText = letter === 'C' || letter === 'Z'
    const text = hasText ? buffered.toString('utf8', 5, length).replace('\0', '') : ''
    return { length, message: { kind: postgresServerKinds[letter] ?? letter, text } }
  }
}

/** PostgreSQL's message of a client that runs this SQL by the simple protocol. */
export function postgresQuery(text: string): Buffer {
  return postgresMessage('Q', `${text}\0`)
}

/** PostgreSQL's message of a server that warns, in the language of that server. */
export function postgresWarning({ severity = 'WARNING', code = '01000', message = 'a warning' } = {}): Buffer {
  return postgresMessage('N', `S${severity}\0VWARNING\0C${code}\0M${message}\0\0`)
}

function postgresMessage(letter: string, body: string): Buffer {
  const bytes = Buffer.from(`${letter}\0\0\0\0${body}`)
  bytes.writeInt32BE(bytes.length - 1, 1)
  return bytes
}

/** The first two zero-terminated strings of a message's body. */
function leadingStrings(body: Buffer): [string, string] {
  const firstEnd = body.indexOf(0)
  if (firstEnd < 0) return ['', '']
  const secondEnd = body.indexOf(0, firstEnd + 1)
  return [body.toString('utf8', 0, firstEnd), secondEnd < 0 ? '' : body.toString('utf8', firstEnd + 1, secondEnd)]
}

/** RESP: what clients send is an array of bulk strings; a person at `nc` sends a line. */
function readRedis(buffered: Buffer): ReturnType<ReadMessage> {
  const firstLine = lineAt(buffered, 0)
  if (firstLine === null) return null
  if (!firstLine.text.startsWith('*')) return redisMessage(firstLine.end, firstLine.text.split(' '))

  const words: string[] = []
  let at = firstLine.end
  for (let left = Number(firstLine.text.slice(1)); left > 0; left--) {
    const size = lineAt(buffered, at)
    if (size === null) return null
    const end = size.end + Number(size.text.slice(1))
    if (buffered.length < end + 2) return null
    words.push(buffered.toString('utf8', size.end, end))
    at = end + 2
  }
  return redisMessage(at, words)
}

function redisMessage(length: number, [command = '', ...args]: string[]): ReturnType<ReadMessage> {
  const kind = command.toUpperCase()
  return { length, message: { kind, text: [kind, ...args].join(' ') } }
}

/** HTTP/1.1 requests whose body has a length; chunked bodies are refused. */
function readHttp(buffered: Buffer): ReturnType<ReadMessage> {
  const headEnd = buffered.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const head = buffered.toString('latin1', 0, headEnd)
  if (/^transfer-encoding:/im.test(head)) throw new Error('the proxy does not read chunked requests: send a length')
  const bodyStart = headEnd + 4
  const length = bodyStart + Number(/^content-length:\s*(\d+)/im.exec(head)?.[1] ?? 0)
  if (buffered.length < length) return null
  const [method = '', path = ''] = head.split(' ', 2)
  return { length, message: { kind: method, text: `${path}\n\n${buffered.toString('utf8', bodyStart, length)}` } }
}

/** Of one RESP3 reply: its first line, or the text that has a length. */
function readRedisReply(buffered: Buffer): ReturnType<ReadMessage> {
  const length = redisReplyEnd(buffered, 0)
  if (length === null) return null
  const [head = '', body = ''] = buffered.toString('utf8', 0, length).split('\r\n', 2)
  return { length, message: { kind: 'reply', text: /^\$\d/.test(head) ? body : head } }
}

/** Texts have a length, collections a number of items, and all others are one line. */
function redisReplyEnd(buffered: Buffer, start: number): number | null {
  const firstLine = lineAt(buffered, start)
  if (firstLine === null) return null
  const { text, end: lineEnd } = firstLine
  const [kind = '', size] = [text[0], Number(text.slice(1))]
  if ('$=!'.includes(kind)) {
    const end = size < 0 ? lineEnd : lineEnd + size + 2
    return end <= buffered.length ? end : null
  }
  let end: number | null = lineEnd
  const items = '*~>'.includes(kind) ? size : kind === '%' ? 2 * size : 0
  for (let left = items; left > 0 && end !== null; left--) end = redisReplyEnd(buffered, end)
  return end
}

/** Its kind is the status. */
function readHttpAnswer(buffered: Buffer): ReturnType<ReadMessage> {
  const headEnd = buffered.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const head = buffered.toString('latin1', 0, headEnd)
  const size = /^content-length:\s*(\d+)/im.exec(head)?.[1]
  if (size === undefined) throw new Error('an answer without a Content-Length has no known end')
  const bodyStart = headEnd + 4
  const length = bodyStart + Number(size)
  if (buffered.length < length) return null
  return { length, message: { kind: head.split(' ', 2)[1] ?? '', text: buffered.toString('utf8', bodyStart, length) } }
}

function lineAt(buffered: Buffer, start: number): { text: string; end: number } | null {
  const end = buffered.indexOf('\r\n', start)
  return end < 0 ? null : { text: buffered.toString('utf8', start, end), end: end + 2 }
}
