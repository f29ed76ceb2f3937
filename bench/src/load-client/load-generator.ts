import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { cpuBetween, readCpuMs, readMachineCpuMs } from '../load/cpu-time.ts'
import type { CpuMs, Job, Slice, SliceResult } from '../load/slice.ts'

/** As many as the highest concurrency has requests in flight: none of them waits for a connection. */
const connectionsPerOrigin = 64

/** A request that takes longer is a failure of the run. */
const answerWithinMs = 30_000

/** A process that has just been started, on a busy machine, may need a while. */
const mostRetries = 20
const retryPauseMs = 250

export interface LoadGenerator {
  /** Rejects with the first answer that is not the expected one: a figure of failed requests is no figure. */
  run(slice: Slice): Promise<SliceResult>
}

/** Sends requests in closed loops over kept-alive connections: each of `inFlight` loops has one request in flight. */
export function createLoadGenerator(): LoadGenerator {
  const pools = new Map<string, Pool>()

  function poolOf(origin: string): Pool {
    const pool =
      pools.get(origin) ??
      new Pool(origin, {
        connections: connectionsPerOrigin,
        headersTimeout: answerWithinMs,
        bodyTimeout: answerWithinMs,
      })
    pools.set(origin, pool)
    return pool
  }

  return { run: (slice) => runSlice(slice, slice.origins.map(poolOf)) }
}

/** A finished request, with the times of the load client's monotonic clock. */
interface Finished {
  readonly job: number
  readonly beganMs: number
  readonly endedMs: number
  readonly body: string
}

async function runSlice(slice: Slice, pools: readonly Pool[]): Promise<SliceResult> {
  const { jobs, leadMs, watched } = slice
  const window = createWindow(slice)
  const finished: Finished[] = []
  let next = 0

  async function loop(): Promise<void> {
    while (window.isOpen()) {
      const job = next
      if (job >= jobs.length && !slice.repeats) return window.end()
      next += 1
      finished.push(await send(slice, job % jobs.length, pools[job % pools.length]))
    }
  }

  const running = Array.from({ length: slice.inFlight }, loop)
  const loops = Promise.all(running)
  try {
    await Promise.race([loops, window.waitForStart(leadMs)])
    const [before, machineBefore] = [readCpuMs(watched), readMachineCpuMs()]
    const startedMs = performance.now()
    const answeredBefore = finished.length
    await Promise.race([loops, window.waitForEnd(() => finished.length - answeredBefore)])
    const endedMs = performance.now()
    const [after, machineAfter] = [readCpuMs(watched), readMachineCpuMs()]
    window.end()
    await loops
    const machineCpuMs = machineBefore === null || machineAfter === null ? null : machineAfter - machineBefore
    return summarize(slice, finished, { startedMs, endedMs, machineCpuMs, cpuMs: cpuBetween(before, after) })
  } finally {
    // After a wrong answer, requests that are still in flight must not run into the next slice.
    window.end()
    await Promise.allSettled(running)
  }
}

function summarize(
  { returnsBodies }: Slice,
  finished: readonly Finished[],
  { startedMs, endedMs, ...cpu }: { startedMs: number; endedMs: number; cpuMs: CpuMs; machineCpuMs: number | null },
): SliceResult {
  return {
    windowMs: endedMs - startedMs,
    completed: finished.filter(({ endedMs: at }) => at >= startedMs && at <= endedMs).length,
    latenciesMs: finished
      .filter(({ beganMs }) => beganMs >= startedMs && beganMs <= endedMs)
      .map((request) => Math.round((request.endedMs - request.beganMs) * 100) / 100),
    ...cpu,
    done: finished.map(({ job }) => job),
    bodies: returnsBodies ? finished.map(({ body }) => body) : [],
  }
}

/** On a busy machine a window lasts until there is something to divide by, but not for ever. */
const mostExtensions = 4

/** When the measured window begins and ends. It ends early when the jobs run out, while all loops are still busy. */
function createWindow({ windowMs, inFlight }: Slice) {
  let isOpen = true
  let tellEnd = () => {}
  const ended = new Promise<void>((resolve) => {
    tellEnd = resolve
  })
  const timers: NodeJS.Timeout[] = []
  const after = (delayMs: number) => new Promise<void>((resolve) => timers.push(setTimeout(resolve, delayMs)))
  return {
    isOpen: () => isOpen,
    waitForStart: (leadMs: number) => Promise.race([after(leadMs), ended]),
    async waitForEnd(countAnswers: () => number): Promise<void> {
      // Without a length, the window ends with the loops.
      if (windowMs === null) return new Promise(() => undefined)
      for (let extension = 0; isOpen && extension <= mostExtensions; extension += 1) {
        await Promise.race([after(windowMs), ended])
        if (countAnswers() >= inFlight) return
      }
    },
    end(): void {
      isOpen = false
      for (const timer of timers) clearTimeout(timer)
      tellEnd()
    },
  }
}

async function send(slice: Slice, index: number, pool: Pool | undefined, retriesLeft = mostRetries): Promise<Finished> {
  const job = slice.jobs[index]
  if (job === undefined || pool === undefined) throw new Error('a slice needs jobs and origins')
  const beganMs = performance.now()
  const { statusCode, headers, body } = await pool.request({
    method: 'POST',
    path: job.path,
    headers: {
      authorization: slice.authorization,
      'content-type': job.contentType,
      'idempotency-key': job.idempotencyKey,
    },
    body: job.body,
  })
  const text = await body.text()
  const endedMs = performance.now()
  if (statusCode === 503 && slice.retriesUnavailable && retriesLeft > 0) {
    await sleep(retryPauseMs)
    return send(slice, index, pool, retriesLeft - 1)
  }
  checkAnswer(slice, job, { status: statusCode, replayed: headers['idempotent-replayed'] === 'true', text })
  return { job: index, beganMs, endedMs, body: slice.returnsBodies ? text : '' }
}

function checkAnswer(
  { expected }: Slice,
  { path }: Job,
  { status, replayed, text }: { status: number; replayed: boolean; text: string },
): void {
  if (status === expected.status && replayed === expected.replayed) return
  const wanted = `${expected.status}${expected.replayed ? ', replayed' : ''}`
  const got = `${status}${replayed ? ', replayed' : ''}`
  throw new Error(`POST ${path} was answered ${got} instead of ${wanted}: ${text.slice(0, 300)}`)
}
