import express, { type ErrorRequestHandler, type Express, type Response } from 'express'
import { z } from 'zod'
import { batchSchema } from './attempt.ts'
import { disturbanceSchema } from './disturbance.ts'
import { expectedByDefault, invariantIds } from './invariant.ts'
import { judgeRun, type RunVerdict, type Witnesses } from './judge-run.ts'
import type { MeetingPlace } from './meeting-place.ts'
import type { Run, RunStore } from './run-store.ts'
import { seatBatchSchema } from './seat-attempt.ts'

export interface AuditorDeps {
  readonly runs: RunStore
  readonly meetings: MeetingPlace
  /** Fresh ones for every verdict: each reads the ledger from its beginning. */
  readonly summonWitnesses: () => Promise<Witnesses>
  /** Told of what nobody expected. */
  readonly onError: (error: unknown) => void
}

/** A batch of a thousand attempts has 700 KB, of a thousand about ten seats each twice as much. */
const maxBodyBytes = 2 * 1024 * 1024

/** Longer than a lease (60 s, a payment's as well as a message's) and some of recovery's pauses; what is unsettled for longer is stuck. */
const defaultWaitMs = 90_000
const longestWaitMs = 120_000

const noAttempt = 'no attempt of this run was ever handed in'

const verdictRequest = z.object({
  waitMs: z.number().int().min(0).max(longestWaitMs).default(defaultWaitMs),
  /** Invariants that this run must have had something to look at for; the others may be without. */
  expects: z.array(z.enum(invariantIds)).default([...expectedByDefault]),
})
const meetingRequest = z.object({ clients: z.number().int().min(1).max(100) })

/**
 * The auditor: clients hand it what they saw, whoever hurts the system what they did, and it judges. It only reads, from the
 * database, the gateway and the mail sink, so that it can be asked about a system that people use meanwhile.
 */
export function createAuditor({ runs, meetings, summonWitnesses, onError }: AuditorDeps): Express {
  const app = express()
  // With their runs they are forgotten: a run that was pushed out takes its verdict with it.
  const verdicts = new WeakMap<Run, RunVerdict>()
  const judging = new Set<string>()
  app.disable('x-powered-by')
  app.use(express.json({ limit: maxBodyBytes }))

  app.post('/runs/:run/attempts', (request, response) => {
    const batch = batchSchema.safeParse(request.body)
    if (!batch.success) return refuse(response, 400, z.prettifyError(batch.error))
    answerTaken(response, runs.add(request.params.run, batch.data))
  })

  app.post('/runs/:run/seat-attempts', (request, response) => {
    const batch = seatBatchSchema.safeParse(request.body)
    if (!batch.success) return refuse(response, 400, z.prettifyError(batch.error))
    answerTaken(response, runs.addSeats(request.params.run, batch.data))
  })

  app.post('/runs/:run/meetings/:meeting', async (request, response) => {
    const asked = meetingRequest.safeParse(request.body)
    if (!asked.success) return refuse(response, 400, z.prettifyError(asked.error))
    const met = await meetings.arrive(`${request.params.run} ${request.params.meeting}`, asked.data.clients)
    response.json({ met })
  })

  app.post('/runs/:run/disturbances', (request, response) => {
    const disturbance = disturbanceSchema.safeParse(request.body)
    if (!disturbance.success) return refuse(response, 400, z.prettifyError(disturbance.error))
    const noted = runs.declare(request.params.run, disturbance.data)
    if (noted === 'unknown-run') return refuse(response, 404, noAttempt)
    if (noted === 'full') return refuse(response, 507, 'there is no room for more disturbances')
    response.status(202).json({})
  })

  app.post('/runs/:run/verdict', async (request, response) => {
    const asked = verdictRequest.safeParse(request.body ?? {})
    if (!asked.success) return refuse(response, 400, z.prettifyError(asked.error))
    const run = runs.find(request.params.run)
    if (run === undefined) return refuse(response, 404, noAttempt)
    // One at a time: a verdict reads whole tables, and two at once would say the same.
    if (judging.has(run.name)) return refuse(response, 409, 'this run is being judged')
    judging.add(run.name)
    try {
      const verdict = await judgeRun(run, await summonWitnesses(), asked.data)
      verdicts.set(run, verdict)
      response.json(verdict)
    } finally {
      judging.delete(run.name)
    }
  })

  app.get('/runs/:run', (request, response) => {
    const run = runs.find(request.params.run)
    if (run === undefined) return refuse(response, 404, noAttempt)
    response.json(progress(run, verdicts.get(run) ?? null))
  })

  app.use((_request, response) => refuse(response, 404, 'there is nothing here'))
  app.use(answerError(onError))
  return app
}

export interface RunProgress {
  readonly run: string
  readonly attempts: number
  readonly seatAttempts: number
  readonly orders: number
  readonly verdict: RunVerdict | null
}

function progress(run: Run, verdict: RunVerdict | null): RunProgress {
  const [attempts, seatAttempts] = [run.attempts.length, run.seatAttempts.length]
  return { run: run.name, attempts, seatAttempts, orders: run.orderIds.size, verdict }
}

function answerTaken(response: Response, taken: ReturnType<RunStore['add']>): void {
  if (taken === 'full') refuse(response, 507, 'there is no room for more attempts; this run can no longer be judged')
  else response.status(202).json({})
}

function refuse(response: Response, status: number, detail: string): void {
  response.status(status).json({ detail })
}

function answerError(onError: (error: unknown) => void): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, _request, response, _next) => {
    const status = error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : 500
    if (status === 500) onError(error)
    refuse(response, status, status === 500 ? 'the auditor failed' : 'the body could not be read')
  }
}
