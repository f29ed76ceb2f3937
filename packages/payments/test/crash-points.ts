import type { Database } from '@seatbelt/database'
import type { Gateway } from '@seatbelt/safety'
import type { ReplicaParts } from './shop.ts'

/**
 * A process that can be killed at any of the points at which it touches the world outside: just before and just after each
 * statement, each COMMIT, and each request to the gateway. In between it touches nothing, so these are all there are.
 *
 * From its death on nothing that it tries reaches anybody: what it had not committed is rolled back, as PostgreSQL does for a
 * connection that is gone, and whatever it would have answered is lost. Only its Redis lock is given back at once instead
 * of running out, so that no test waits for that.
 */
export interface Mortal {
  /** Give them to `shop.replica`. */
  readonly parts: Pick<ReplicaParts, 'database' | 'gateway'>
  /**
   * The points that one run of `operation` passes, in order, named by what was touched and the how manieth of its kind it
   * was: `before commit 1`, `after captureIntent 1`. A claim about every point compares its table with this.
   */
  passedBy(operation: () => Promise<unknown>): Promise<readonly string[]>
  /** Runs `operation` until it is killed at `point`. Fails if it never comes there: then the table is about other code. */
  dieAt(point: string, operation: () => Promise<unknown>): Promise<void>
  /** Makes points of what else an operation touches: `around('sendMail', () => mailer.send(...))`. */
  around<T>(kind: string, work: () => Promise<T>): Promise<T>
}

export function createMortal(): Mortal {
  let passed: string[] = []
  let deadline: string | null = null
  let isDead = false
  let counts = new Map<string, number>()

  function start(dieAt: string | null): void {
    if (isDead) throw new Error('this process is dead: bring the system back with another one')
    passed = []
    counts = new Map()
    deadline = dieAt
  }

  function nameOf(kind: string): string {
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    return `${kind} ${count}`
  }

  function pass(point: string): void {
    if (isDead) throw new Killed()
    passed.push(point)
    if (point !== deadline) return
    isDead = true
    throw new Killed()
  }

  async function around<T>(kind: string, work: () => Promise<T>): Promise<T> {
    const name = nameOf(kind)
    pass(`before ${name}`)
    const value = await work()
    pass(`after ${name}`)
    return value
  }

  async function transaction<T, R>(real: Database, work: Parameters<typeof real.transaction<T, R>>[0]): Promise<T | R> {
    if (isDead) throw new Killed()
    let name = ''
    const value = await real.transaction<T, R>(async (tx, rollBack) => {
      const result = await work(tx, rollBack)
      name = nameOf('commit')
      pass(`before ${name}`)
      return result
    })
    // One that was rolled back on purpose has changed nothing: there is nothing to die after.
    if (name !== '') pass(`after ${name}`)
    return value
  }

  return {
    parts: {
      database: (real) => ({
        ...real,
        statement: (work) => around('statement', () => real.statement(work)),
        query: (statement) => around('statement', () => real.query(statement)),
        transaction: (work) => transaction(real, work),
      }),
      gateway: (real) => watchEachRequest(real, around),
    },
    around,
    passedBy: async (operation) => {
      start(null)
      await operation()
      return passed
    },
    dieAt: async (point, operation) => {
      start(point)
      // It may throw or answer: nobody is there any more to hear it.
      await operation().catch(() => undefined)
      if (!isDead) throw new Error(`the operation never came to '${point}', only to: ${passed.join(', ')}`)
    },
  }
}

/** Both sides of each of these, as a table of points. */
export function bothSidesOf(...names: readonly string[]): string[] {
  return names.flatMap((name) => [`before ${name}`, `after ${name}`])
}

class Killed extends Error {
  constructor() {
    super('the process is dead')
  }
}

function watchEachRequest(real: Gateway, around: Mortal['around']): Gateway {
  const requests = Object.entries(real).map(([name, send]) => [
    name,
    (...asked: unknown[]) => around(name, () => (send as (...asked: unknown[]) => Promise<unknown>)(...asked)),
  ])
  return Object.fromEntries(requests) as Gateway
}
