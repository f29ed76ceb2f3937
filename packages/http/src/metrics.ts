import type { RequestListener } from 'node:http'
import type { RequestHandler } from 'express'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface Metrics {
  /** Where other packages register what they count. */
  readonly registry: Registry
  /** Measures every request that passes through it; mount it first. */
  readonly measureRequests: RequestHandler
  /** Answers `GET /metrics`. Not authenticated: do not route it from outside. */
  readonly answerMetrics: RequestListener
}

/** Around the gateway's 50 ms, and up to where a client has long given up. */
const durationBucketsSeconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10]

/** A registry of its own, so that two apps in one process (as in tests) do not share their figures. */
export function createMetrics(options: { processMetrics: boolean } = { processMetrics: true }): Metrics {
  const registry = new Registry()
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  return { registry, measureRequests: measureRequests(registry), answerMetrics: answerMetrics(registry) }
}

function measureRequests(registry: Registry): RequestHandler {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'From the first middleware to the last byte, by the pattern of the route.',
    labelNames: ['method', 'route', 'status'],
    buckets: durationBucketsSeconds,
    registers: [registry],
  })
  const inFlight = new Gauge({
    name: 'http_requests_in_flight',
    help: 'Requests that were received and not answered yet.',
    registers: [registry],
  })
  const problems = new Counter({
    name: 'http_problems_total',
    help: 'Requests that were answered with a problem, by its code. Too-many-declines: somebody may be testing cards.',
    labelNames: ['code'],
    registers: [registry],
  })
  return (request, response, next) => {
    const stop = duration.startTimer()
    inFlight.inc()
    response.once('close', () => {
      inFlight.dec()
      // A client that went away before it was answered is told apart: it says nothing about how we answer.
      const status = response.writableFinished ? response.statusCode : 499
      stop({ method: request.method, route: routePattern(request.route), status })
      const code: unknown = response.locals.problemCode
      if (typeof code === 'string') problems.inc({ code })
    })
    next()
  }
}

/** The pattern and not the path: a label must not have as many values as there are orders. */
function routePattern(route: unknown): string {
  const path: unknown = typeof route === 'object' && route !== null ? Reflect.get(route, 'path') : undefined
  return typeof path === 'string' ? path : 'none'
}

function answerMetrics(registry: Registry): RequestListener {
  return (_request, response) => {
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  }
}
