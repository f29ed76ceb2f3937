import pg from 'pg'

/** Whether the database can be reached, asked on a connection of its own. */
export interface Readiness {
  /** Never rejects, and answers within `patienceMs`. */
  isReady(): Promise<boolean>
  close(): Promise<void>
}

export interface ReadinessOptions {
  readonly url: string
  readonly applicationName: string
  /** How long one call waits for an answer; 700 ms by default, less than a probe waits for us. */
  readonly patienceMs?: number
  /** Asks for each call, instead of using an answer that is younger than half a second. For tests. */
  readonly answersAfresh?: boolean
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number
}

const defaultPatienceMs = 700
/** Balancers ask about once a second each. */
const freshMs = 500
/** As long as the longest statement may take. A database that is silent for longer is away and not busy. */
const longestSilenceMs = 5_000
/** Then a server that hangs is left without a goodbye. */
const closeTimeoutMs = 2_000

/**
 * Tells "the database is away" from "the database or this process is busy": a crowd must not take a replica out of the
 * balancer, because its load would go to the others.
 *
 * A connection that is refused or cut means not ready at once. A database that does not answer is ready for five
 * seconds more.
 */
export function createReadiness(options: ReadinessOptions): Readiness {
  const { patienceMs = defaultPatienceMs, answersAfresh = false, now = () => performance.now() } = options
  let connection: pg.Client | null = null
  let asked: Promise<boolean> | null = null
  let answeredAtMs = Number.NEGATIVE_INFINITY
  let wasAnswered = false
  let isClosed = false

  const drop = () => {
    connection?.connection.stream.destroy()
    connection = null
  }

  const lose = (lost: pg.Client) => {
    if (lost !== connection) return
    connection = null
    wasAnswered = false
  }

  const ask = async (): Promise<boolean> => {
    try {
      connection ??= await connect(options, lose)
      if (isClosed) throw new Error('it was closed while it connected')
      await connection.query('SELECT 1')
      wasAnswered = true
    } catch (fault) {
      wasAnswered = isTooManyConnections(fault)
      drop()
    }
    answeredAtMs = now()
    asked = null
    return wasAnswered
  }

  return {
    isReady: async () => {
      const isFresh = wasAnswered && !answersAfresh && now() - answeredAtMs < freshMs
      if (isFresh) return true
      asked ??= ask()
      return within(patienceMs, asked, () => wasAnswered && now() - answeredAtMs < longestSilenceMs)
    },
    close: async () => {
      isClosed = true
      const last = connection
      connection = null
      if (last === null) return
      const timer = setTimeout(() => last.connection.stream.destroy(), closeTimeoutMs)
      await last.end().finally(() => clearTimeout(timer))
    },
  }
}

async function connect(
  { url, applicationName }: ReadinessOptions,
  lose: (lost: pg.Client) => void,
): Promise<pg.Client> {
  const connection = new pg.Client({
    connectionString: url,
    application_name: `${applicationName}, readiness`,
    connectionTimeoutMillis: longestSilenceMs,
    query_timeout: longestSilenceMs,
  })
  connection.on('error', () => lose(connection))
  await connection.connect()
  return connection
}

/** The server is there, and the pool has its connections. */
function isTooManyConnections(fault: unknown): boolean {
  return fault instanceof pg.DatabaseError && fault.code === '53300'
}

async function within(ms: number, answer: Promise<boolean>, otherwise: () => boolean): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(otherwise()), ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
