import type { RequestListener, ServerResponse } from 'node:http'
import { problem } from './problem.ts'

export interface Health {
  /** Can this process work now? Its answer may take a while or fail; both count as no. */
  readonly isReady: () => Promise<boolean>
  readonly isDraining: () => boolean
}

/** A probe usually gives up after one second; an honest "no" must come before that. */
const readinessDeadlineMs = 800

/**
 * Answers `/healthz` (this process runs) and `/readyz` (it can work and is not about to end) before the app sees them:
 * every process of the house answers both alike, and no rate limit, key or log line is in their way.
 */
export function withHealth(health: Health, app: RequestListener): RequestListener {
  return (request, response) => {
    const path = request.url?.split('?', 1)[0]
    if (path !== '/healthz' && path !== '/readyz') return app(request, response)
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuseMethod(response)
    if (path === '/healthz') return answer(response, 200, 'ok')
    if (health.isDraining()) return answer(response, 503, 'draining')
    const answerReady = (ready: boolean) => answer(response, ready ? 200 : 503, ready ? 'ready' : 'not-ready')
    readyInTime(health.isReady).then(answerReady, () => answerReady(false))
  }
}

async function readyInTime(isReady: () => Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, readinessDeadlineMs, false)
  })
  try {
    return await Promise.race([isReady(), tooLate])
  } finally {
    clearTimeout(timer)
  }
}

function answer(response: ServerResponse, statusCode: number, status: string): void {
  response.writeHead(statusCode, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(JSON.stringify({ status }))
}

function refuseMethod(response: ServerResponse): void {
  const { status, contentType, body } = problem('method-not-allowed', 'Use GET or HEAD.')
  response.writeHead(status, { 'Content-Type': contentType, Allow: 'GET, HEAD' }).end(body)
}
