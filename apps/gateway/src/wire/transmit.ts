import type { ServerResponse } from 'node:http'
import type { Fault } from '../faults.ts'
import { newId } from '../new-id.ts'
import { type Answer, tooManyRequests } from './answer.ts'

/** An answer, or one that was recorded as text and must come back byte for byte. */
export type Transmittable = Answer | { readonly status: number; readonly body: string }

/** Sends the answer, or what the fault makes of it. */
export function transmit(response: ServerResponse, answer: Transmittable | null, fault: Fault | null): void {
  switch (fault?.kind) {
    case 'drop-before':
    case 'drop-after':
      response.socket?.destroy()
      return
    case 'garbage':
      end(response, fault.garbageStatus, 'text/html', garbage)
      return
    case 'rate-limit':
      end(response, tooManyRequests.status, 'application/json', JSON.stringify(tooManyRequests.body))
      return
    case 'trickle':
      trickle(response, real(answer), fault.delayMs)
      return
    default:
      end(response, real(answer).status, 'application/json', textOf(real(answer)))
  }
}

function real(answer: Transmittable | null): Transmittable {
  if (!answer) throw new Error('Only a fault may take the place of an answer')
  return answer
}

function textOf({ body }: Transmittable): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** More often than anybody's idle time-out, seldom enough to cost nothing. */
const trickleEveryMs = 20

/** At most a byte at a time where the answer is short, so that it lasts as long as it was told to. */
function trickle(response: ServerResponse, answer: Transmittable, durationMs: number): void {
  const bytes = Buffer.from(textOf(answer))
  const everyMs = Math.max(trickleEveryMs, Math.floor(durationMs / bytes.length))
  const pieceBytes = Math.max(1, Math.ceil((bytes.length * everyMs) / Math.max(durationMs, everyMs)))
  begin(response, answer.status, 'application/json', bytes.length)
  let sent = 0
  const timer = setInterval(() => {
    response.write(bytes.subarray(sent, sent + pieceBytes))
    sent += pieceBytes
    if (sent < bytes.length) return
    clearInterval(timer)
    response.end()
  }, everyMs)
  // The other side may have had enough.
  response.once('close', () => clearInterval(timer))
}

/** Every request under /v1 has one before anything else happens to it. */
export function giveRequestId(response: ServerResponse): void {
  response.setHeader('Request-Id', newId('req'))
}

export function readRequestId(response: ServerResponse): string {
  return String(response.getHeader('Request-Id'))
}

const garbage = '<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>\n'

function end(response: ServerResponse, status: number, contentType: string, text: string): void {
  begin(response, status, contentType, Buffer.byteLength(text))
  response.end(text)
}

function begin(response: ServerResponse, status: number, contentType: string, lengthBytes: number): void {
  response.statusCode = status
  response.setHeader('Content-Type', contentType)
  response.setHeader('Content-Length', lengthBytes)
}
