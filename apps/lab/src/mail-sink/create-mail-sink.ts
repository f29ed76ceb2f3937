import express, { type ErrorRequestHandler, type Express, type Response } from 'express'
import { z } from 'zod'
import type { MailStore } from './mail-store.ts'
import type { SmtpListener } from './smtp-listener.ts'

/** As many as the gateway's ledger gives in a page. */
const maxPageSize = 1_000

const page = z.object({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(maxPageSize).default(maxPageSize),
})

const faultsRequest = z.strictObject({
  faults: z
    .array(
      z.strictObject({
        kind: z.enum(['drop-answer', 'hang', 'trickle', 'refuse']),
        code: z.int().min(400).max(599).default(451),
        times: z.int().min(1).max(1_000_000).default(1),
      }),
    )
    .max(100),
})

/**
 * The mail sink's HTTP side: what arrived, for whoever counts (`GET /v1/messages?after=N&limit=N`), and what shall go wrong with
 * what comes next (`POST /v1/control/faults`, which replaces what was set; an empty list ends it).
 */
export function createMailSink(store: MailStore, listener: Pick<SmtpListener, 'setFaults'>): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use(express.json({ limit: '64kb' }))

  app.get('/v1/messages', (request, response) => {
    const asked = page.safeParse(request.query)
    if (!asked.success) return refuse(response, 400, z.prettifyError(asked.error))
    response.json(store.read(asked.data.after, asked.data.limit))
  })

  app.post('/v1/control/faults', (request, response) => {
    const asked = faultsRequest.safeParse(request.body)
    if (!asked.success) return refuse(response, 400, z.prettifyError(asked.error))
    listener.setFaults(asked.data.faults)
    response.json({})
  })

  app.use((_request, response) => refuse(response, 404, 'there is nothing here'))
  app.use(answerError)
  return app
}

function refuse(response: Response, status: number, detail: string): void {
  response.status(status).json({ detail })
}

// Express knows an error handler by its four parameters.
const answerError: ErrorRequestHandler = (_error, _request, response, _next) =>
  refuse(response, 400, 'the body could not be read')
