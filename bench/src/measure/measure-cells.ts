import { type LoadClient, SliceFailed } from '../load/load-client.ts'
import type { Job, SliceResult } from '../load/slice.ts'
import type { BenchPlan, Cell, OperationName } from '../plan.ts'
import type { Subject } from '../report/bench-report.ts'
import { type BenchStack, ownerOf } from '../systems/start-bench-stack.ts'
import { type SystemName, systems } from '../systems/systems.ts'
import { prepareJobs, type Target } from './prepare-jobs.ts'
import type { SeriesBook } from './series-book.ts'
import { withGatewayWebhooks } from './with-gateway-webhooks.ts'

export interface MeasureOptions {
  readonly plan: BenchPlan
  readonly bench: BenchStack
  readonly client: LoadClient
  readonly book: SeriesBook
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** Answered payments that may be replayed: more distinct keys than requests in flight, few enough to stay cached. */
const keptForReplays = 300

/** Of the warm-up, before the crowd comes. */
const gentleWarmUpMs = 500

/** Of one slice. What is too short then is reported as it is. */
const mostAttempts = 3

/** More than the fullest window uses; an event has seats for this many holds. */
const mostJobs = 5_000

/** A first guess of requests a second per request in flight, and the most in all; measured rates replace it. */
const firstGuesses: Readonly<Record<OperationName, { readonly each: number; readonly most: number }>> = {
  payment: { each: 10, most: 400 },
  replay: { each: 0, most: 0 },
  hold: { each: 200, most: 1_200 },
  checkout: { each: 8, most: 300 },
  'create-intent': { each: 25, most: 800 },
  'confirm-intent': { each: 25, most: 800 },
}

interface SliceToRun {
  readonly system: Subject
  readonly operation: OperationName
  readonly inFlight: number
  readonly windowMs: number
  readonly leadMs: number
  readonly isMeasured: boolean
}

/** Runs the cells of the plan, and warms up the systems before them. */
export class CellMeasurement {
  readonly #options: MeasureOptions
  readonly #rates = new Map<string, number>()
  readonly #replayable = new Map<string, readonly Job[]>()

  constructor(options: MeasureOptions) {
    this.#options = options
  }

  /** Each system does each of its operations for a while, unmeasured. */
  async warmUp(): Promise<void> {
    const { plan, bench, say } = this.#options
    const pairs = new Map<string, { system: SystemName; operation: OperationName }>()
    for (const { operation, systems: names } of plan.cells)
      for (const system of names) {
        // Two systems may be the same processes.
        const processes = bench.target(system, operation).origins.join()
        if (!pairs.has(`${processes} ${operation}`)) pairs.set(`${processes} ${operation}`, { system, operation })
      }
    for (const { system, operation } of pairs.values()) {
      say(`warm-up     ${systems[system].title}: ${operation}`)
      const windowMs = operation === 'payment' ? plan.warmUpMs : plan.warmUpMs / 2
      const slice = { system, operation, windowMs, leadMs: 0, isMeasured: false }
      // A process that has just been started compiles as it goes, and would refuse a crowd.
      await this.#runSlice({ ...slice, inFlight: 8, windowMs: gentleWarmUpMs })
      await this.#runSlice({ ...slice, inFlight: 64 })
    }
    await bench.analyze()
  }

  /** One turn of each cell. Every second round takes the systems in reverse, so that a drift hits all of them. */
  async runRound(round: number): Promise<void> {
    const { plan } = this.#options
    for (const cell of plan.cells.filter(({ rounds }) => round <= rounds)) {
      const subjects: readonly Subject[] = cell.systems.length === 0 ? ['gateway'] : cell.systems
      for (const system of round % 2 === 1 ? subjects : subjects.toReversed()) {
        await this.#runTurn(cell, system, round)
      }
    }
  }

  async #runTurn(cell: Cell, system: Subject, round: number): Promise<void> {
    const { plan, book, say } = this.#options
    const name = { system, operation: cell.operation, inFlight: cell.inFlight }
    const title = system === 'gateway' ? 'Gateway alone' : systems[system].title
    const where =
      `round ${round} of ${plan.rounds}  ${cell.operation.padEnd(15)}` +
      `${String(cell.inFlight).padStart(3)} in flight  ${title.padEnd(20)}`
    try {
      const { throughputPerSecond, p50Ms, cpuMsPerRequest } = book.add(name, round, await this.#runCell(cell, system))
      const cpu = system === 'gateway' ? '' : `  CPU ${cpuMsPerRequest.api} ms`
      say(`${where}${String(throughputPerSecond).padStart(7)}/s  p50 ${p50Ms} ms${cpu}`)
    } catch (error) {
      if (!(error instanceof SliceFailed)) throw error
      say(`${where} FAILED: ${error.message}`)
      book.addFailure(name, round, error.message)
    }
  }

  async #runCell(cell: Cell, system: Subject): Promise<SliceResult> {
    const { bench, plan } = this.#options
    const slice = { ...cell, system, leadMs: plan.leadMs, isMeasured: true }
    if (system !== 'seatbelt-webhooks') return this.#runSlice(slice)
    return withGatewayWebhooks(bench, () => this.#runSlice(slice))
  }

  /** Repeats a slice that had too few jobs for its window, with more of them. */
  async #runSlice(slice: SliceToRun): Promise<SliceResult> {
    for (let attempt = 1; ; attempt += 1) {
      const jobs = await this.#jobsFor(slice)
      const result = await this.#sendJobs(slice, jobs)
      const isLongEnough = result.windowMs >= slice.windowMs / 2
      const { system, operation, inFlight } = slice
      const perSecond = isLongEnough ? (result.completed / result.windowMs) * 1_000 : 3 * this.#expectedRate(slice)
      this.#rates.set(`${system} ${operation} ${inFlight}`, perSecond)
      if (operation === 'payment')
        this.#keepForReplays(
          system,
          result.done.flatMap((index) => jobs[index] ?? []),
        )
      if (isLongEnough || attempt === mostAttempts) return result
    }
  }

  async #sendJobs(slice: SliceToRun, jobs: readonly Job[]): Promise<SliceResult> {
    const { system, operation, inFlight, windowMs, leadMs, isMeasured } = slice
    const { bench, client, signal } = this.#options
    const { origins, authorization } = this.#targetOf(slice)
    await bench.checkpoint()
    signal.throwIfAborted()
    return client.run({
      origins,
      authorization,
      jobs,
      inFlight,
      leadMs,
      windowMs,
      repeats: operation === 'replay',
      expected: { status: system === 'gateway' ? 200 : 201, replayed: operation === 'replay' },
      retriesUnavailable: !isMeasured,
      watched: system === 'gateway' ? bench.gatewayTarget().watched : bench.target(system, operation).watched,
      returnsBodies: false,
    })
  }

  #targetOf({ system, operation }: SliceToRun): Target {
    const { bench, client } = this.#options
    if (system === 'gateway') {
      return { client, origins: bench.gatewayTarget().origins, authorization: bench.gatewayAuthorization }
    }
    return { client, origins: bench.target(system, operation).origins, authorization: bench.authorization }
  }

  async #jobsFor(slice: SliceToRun): Promise<readonly Job[]> {
    const { system, operation, inFlight, windowMs, leadMs } = slice
    this.#options.signal.throwIfAborted()
    if (operation === 'replay') return this.#replayable.get(replayGroup(system)) ?? []
    const count = Math.ceil((this.#expectedRate(slice) * 1.4 * (windowMs + leadMs)) / 1_000) + 2 * inFlight
    return prepareJobs(operation, this.#targetOf(slice), Math.min(count, mostJobs))
  }

  /** Requests a second. With few in flight, a guess that is too high costs less than a slice that is too short. */
  #expectedRate({ system, operation, inFlight }: SliceToRun): number {
    const { each, most } = firstGuesses[operation]
    const guess = Math.min(each * inFlight, most)
    const measured = this.#rates.get(`${system} ${operation} ${inFlight}`)
    return measured === undefined || inFlight < 64 ? Math.max(guess, measured ?? 0) : measured
  }

  #keepForReplays(system: Subject, done: readonly Job[]): void {
    const kept = this.#replayable.get(replayGroup(system)) ?? []
    this.#replayable.set(replayGroup(system), [...kept, ...done].slice(-keptForReplays))
  }
}

/** Any replica replays what another one has recorded. */
function replayGroup(system: Subject): string {
  return system === 'gateway' ? system : ownerOf(system)
}
