/** One request of the load. */
export interface Job {
  readonly path: string
  readonly idempotencyKey: string
  readonly body: string
  /** `application/json`, or the gateway's form encoding. */
  readonly contentType: string
}

/** The processes whose CPU time is read at both ends of the measured window. */
export interface WatchedProcesses {
  readonly api: readonly number[]
  /** PostgreSQL's first process: those of its connections are its children. */
  readonly postgres: number | null
  readonly redis: number | null
  readonly simulator: number | null
}

/** One order to the load client: a closed loop of requests, of which a window is measured. */
export interface Slice {
  /** Base addresses, used in turn. */
  readonly origins: readonly string[]
  readonly authorization: string
  readonly jobs: readonly Job[]
  readonly inFlight: number
  /** Before the window: connections are opened and caches filled. Not measured. */
  readonly leadMs: number
  /**
   * Null: all jobs are done, and that is the window. Otherwise it ends earlier only when the jobs run out, and later
   * only when hardly any answer has come.
   */
  readonly windowMs: number | null
  /** Whether the jobs start over when they run out. */
  readonly repeats: boolean
  readonly expected: { readonly status: number; readonly replayed: boolean }
  /** Whether 503 is answered by sending the request again. For what is prepared, never for what is measured. */
  readonly retriesUnavailable: boolean
  readonly watched: WatchedProcesses
  /** Whether the answers' bodies are returned. */
  readonly returnsBodies: boolean
}

export type CpuMs = { readonly [name in keyof WatchedProcesses | 'client']: number | null }

export interface SliceResult {
  readonly windowMs: number
  /** Requests that were answered within the window. */
  readonly completed: number
  /** Of the requests that began within the window, from the first byte sent to the last byte received. */
  readonly latenciesMs: readonly number[]
  readonly cpuMs: CpuMs
  /** CPU time that the whole machine spent, on whatever it was; null where the system does not tell. */
  readonly machineCpuMs: number | null
  /** Indices of the jobs that were done, in the window or around it. */
  readonly done: readonly number[]
  /** By the order of `done`. */
  readonly bodies: readonly string[]
}

/** The load client's answer to a slice. */
export type SliceAnswer = { readonly result: SliceResult } | { readonly failure: string }
