import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ProblemCode, problem } from './problem.ts'

/**
 * Answers what Node's parser could not read as a request, with a problem like everything else, and closes the connection:
 * after bytes that make no sense, none that follow can be trusted. No app ever sees these requests.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  // The client is gone, or would take it for the answer to its request before.
  if (error.code === 'ECONNRESET' || !socket.writable || isAtWork(socket)) return void socket.destroy()
  const [code, detail] = unreadable[error.code ?? ''] ?? ['malformed-request', 'The request is not valid HTTP.']
  const { status, contentType, body } = problem(code, detail)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

const unreadable: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'All headers together may have 8 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request did not arrive in time.'],
}

/**
 * Whether the app has a whole request of this connection, which may have had its effect. Node keeps the answer to it on
 * the socket; its own default handler looks at the same place.
 */
function isAtWork(socket: Duplex): boolean {
  const answer: Partial<ServerResponse> | null | undefined = Reflect.get(socket, '_httpMessage')
  return answer?.headersSent === true || answer?.req?.complete === true
}
