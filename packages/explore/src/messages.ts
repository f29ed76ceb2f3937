import { createAnswerFramer, createFramer, type FramedMessage } from '@seatbelt/testing'
import type { ServerName } from './contract.ts'

/** A unit that a client sends and whose answer it awaits: a statement with its Sync, a command, a request. */
export interface Message {
  readonly server: ServerName
  readonly text: string
  readonly bytes: Buffer
  /** Opens or closes a connection or a transaction. No other actor could see it, so it never waits. */
  readonly isHandshake: boolean
}

export interface Answer {
  readonly bytes: Buffer
  /** `UPDATE 1`, `error 40P01`, `OK`, `200 succeeded`. */
  readonly label: string
  /** Of PostgreSQL: `I` idle, `T` in a transaction, `E` in a failed one. */
  readonly status: string | null
}

/** Takes the bytes of one side as they come, and returns what is whole by now. */
export type Reader<Whole> = (chunk: Buffer) => Whole[]

export type Rewrite = (sql: string) => string

export function messageReader(server: ServerName, rewrite: Rewrite): Reader<Message> {
  if (server === 'postgres') return postgresMessages(rewrite)
  return otherMessages(server, server === 'redis' ? 'redis' : 'http')
}

export function answerReader(server: ServerName): Reader<Answer> {
  if (server === 'postgres') return postgresAnswers()
  return server === 'redis' ? otherAnswers('redis', redisLabel) : otherAnswers('http', gatewayLabel)
}

/** A statement ends with its Sync or is a simple query. Parse, Bind and the like wait for it. */
function postgresMessages(rewrite: Rewrite): Reader<Message> {
  const frame = createFramer('postgres', 'to-server')
  let parts: FramedMessage[] = []
  return (chunk) => {
    const messages: Message[] = []
    for (const part of frame(chunk)) {
      parts.push(part)
      const isHandshake = ['startup', 'p', 'terminate'].includes(part.kind) || /^BEGIN\b[^;]*;?\s*$/i.test(part.text)
      if (!isHandshake && part.kind !== 'sync' && part.kind !== 'query') continue
      const text = collapse(parts.find((one) => one.text !== '')?.text ?? '')
      const bytes = Buffer.concat(parts.map((one) => rewritten(one, rewrite)))
      messages.push({ server: 'postgres', text: collapse(rewrite(text)), bytes, isHandshake })
      parts = []
    }
    return messages
  }
}

function rewritten({ kind, text, bytes }: FramedMessage, rewrite: Rewrite): Buffer {
  if (kind !== 'parse' && kind !== 'query') return bytes
  const changed = rewrite(text)
  if (changed === text) return bytes
  const head = kind === 'parse' ? bytes.subarray(5, bytes.indexOf(0, 5) + 1) : Buffer.alloc(0)
  const tail = kind === 'parse' ? bytes.subarray(5 + head.length + Buffer.byteLength(text) + 1) : Buffer.alloc(0)
  return postgresMessage(kind === 'parse' ? 'P' : 'Q', Buffer.concat([head, Buffer.from(`${changed}\0`), tail]))
}

export function simpleQuery(sql: string): Buffer {
  return postgresMessage('Q', Buffer.from(`${sql}\0`))
}

function postgresMessage(letter: string, body: Buffer): Buffer {
  const head = Buffer.from(`${letter}\0\0\0\0`)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** An answer ends with ReadyForQuery. That of the start of a session has BackendKeyData in it. */
function postgresAnswers(): Reader<Answer> {
  const frame = createFramer('postgres', 'to-client')
  let parts: FramedMessage[] = []
  return (chunk) => {
    const answers: Answer[] = []
    for (const part of frame(chunk)) {
      parts.push(part)
      if (part.kind !== 'ready') continue
      const error = parts.find(({ kind }) => kind === 'error')
      const complete = parts.findLast(({ kind }) => kind === 'complete')
      const label = error ? `error ${sqlStateOf(error.bytes)}` : (complete?.text ?? '')
      answers.push({ bytes: Buffer.concat(parts.map(({ bytes }) => bytes)), label, status: part.text })
      parts = []
    }
    return answers
  }
}

/** The field C of an ErrorResponse. */
function sqlStateOf(error: Buffer): string {
  const at = error.indexOf('\0C', 5)
  return error.toString('latin1', at + 2, at + 7)
}

/** The same error with another SQLSTATE. All of them have five letters. */
export function withSqlState({ bytes, ...answer }: Answer, sqlState: string): Answer {
  const changed = Buffer.from(bytes)
  const at = changed.indexOf('\0C57014')
  if (at >= 0) changed.write(sqlState, at + 2, 'latin1')
  return { ...answer, bytes: changed, label: at >= 0 ? `error ${sqlState}` : answer.label }
}

/** The same answer as of a statement outside of a transaction. */
export function asAutocommitted({ bytes, ...answer }: Answer): Answer {
  const changed = Buffer.from(bytes)
  changed.write('I', changed.length - 1, 'latin1')
  return { ...answer, bytes: changed, status: 'I' }
}

/** ioredis sends these to open a connection. */
const redisHandshake = new Set(['INFO', 'CLIENT', 'SELECT', 'HELLO', 'AUTH', 'QUIT'])

function otherMessages(server: 'redis' | 'gateway', protocol: 'redis' | 'http'): Reader<Message> {
  const frame = createFramer(protocol, 'to-server')
  return (chunk) =>
    frame(chunk).map(({ kind, text, bytes }) => ({
      server,
      text: server === 'redis' ? collapse(text) : `${kind} ${text.split('\n', 1)[0]}`,
      bytes,
      isHandshake: server === 'redis' && redisHandshake.has(kind),
    }))
}

function otherAnswers(protocol: 'redis' | 'http', label: (answer: FramedMessage) => string): Reader<Answer> {
  const frame = createAnswerFramer(protocol)
  return (chunk) => frame(chunk).map((answer) => ({ bytes: answer.bytes, label: label(answer), status: null }))
}

function redisLabel({ text }: FramedMessage): string {
  if (text === '_' || text === '$-1') return 'nil'
  return text.startsWith('*') ? `${text.slice(1)} items` : text.replace(/^[+:]/, '')
}

/** The state of the intent or refund, or the code of the error. */
function gatewayLabel({ kind, text }: FramedMessage): string {
  const codes = kind.startsWith('2') ? [] : [/"decline_code": ?"(\w+)"/.exec(text), /"code": ?"(\w+)"/.exec(text)]
  const word = [...codes, /"status": ?"(\w+)"/.exec(text)].find((found) => found !== null)?.[1] ?? ''
  return `${kind} ${word}`.trimEnd()
}

function collapse(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
