import type { Response } from 'express'
import type { Fault } from '../faults.ts'
import { newId } from '../new-id.ts'
import { type Answer, tooManyRequests } from './answer.ts'

/** An answer, or one that was recorded as text and must come back byte for byte. */
export type Transmittable = Answer | { readonly status: number; readonly body: string }

/**
 * Sends the answer, or what the fault makes of it. Written past Express' `send`, which would spend more on ETags and
 * content negotiation than the simulator on the payment.
 */
export function transmit(response: Response, answer: Transmittable | null, fault: Fault | null): void {
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
    default: {
      if (!answer) throw new Error('Only a fault may take the place of an answer')
      const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
      end(response, answer.status, 'application/json', text)
    }
  }
}

/** Every request under /v1 has one before anything else happens to it. */
export function giveRequestId(response: Response): void {
  response.setHeader('Request-Id', newId('req'))
}

export function readRequestId(response: Response): string {
  return String(response.getHeader('Request-Id'))
}

const garbage = '<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>\n'

function end(response: Response, status: number, contentType: string, text: string): void {
  response.statusCode = status
  response.setHeader('Content-Type', contentType)
  response.setHeader('Content-Length', Buffer.byteLength(text))
  response.end(text)
}
