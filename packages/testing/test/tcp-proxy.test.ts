import { createServer, request, type Server } from 'node:http'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  eventually,
  type FreshDatabase,
  freshDatabase,
  type Protocol,
  postgresQuery,
  postgresWarning,
  type RedisServer,
  startLeakCheck,
  startRedisServer,
  startTcpProxy,
  type TcpProxy,
  type WireMessage,
} from '../src/index.ts'

const leakCheck = startLeakCheck()
let proxy: TcpProxy | undefined
afterEach(async () => {
  await proxy?.close()
  proxy = undefined
})
afterAll(() => leakCheck.assertNoLeaks())

describe('a proxy before PostgreSQL', () => {
  let database: FreshDatabase
  let witness: Client

  beforeAll(async () => {
    database = await freshDatabase({ template: 'template0' })
    witness = await connected(database.url)
    await witness.query('CREATE TABLE marks (mark text)')
  })
  afterAll(async () => {
    await witness.end()
    await database.close()
  })

  // A statement without parameters goes as one message, one with parameters as several.
  const kinds = {
    query: (sql: string) => sql,
    execute: (sql: string) => ({ text: sql, values: [], queryMode: 'extended' }),
  }

  it.each(Object.keys(kinds) as (keyof typeof kinds)[])(
    'cuts after the COMMIT took effect and before its answer (%s)',
    async (kind) => {
      const passing = await through(database.url, 'postgres')
      const client = await connected(passing.through(database.url))
      const commit = passing.intercept({
        matches: (message) => message.kind === kind && message.text === 'COMMIT',
        at: 'answer',
      })
      await client.query('BEGIN')
      await client.query('INSERT INTO marks VALUES ($1)', [`answer lost ${kind}`])
      const committing = failureOf(client.query(kinds[kind]('COMMIT')))
      await commit.reached()
      commit.cut()
      expect(await committing).toBeInstanceOf(Error)
      expect(await marksLike(`answer lost ${kind}`)).toBe(1)
    },
  )

  it.each(Object.keys(kinds) as (keyof typeof kinds)[])(
    'cuts before the COMMIT reaches the server (%s)',
    async (kind) => {
      const passing = await through(database.url, 'postgres')
      const client = await connected(passing.through(database.url))
      const commit = passing.intercept({
        matches: (message) => message.kind === kind && message.text === 'COMMIT',
        at: 'request',
      })
      await client.query('BEGIN')
      await client.query('INSERT INTO marks VALUES ($1)', [`never sent ${kind}`])
      const committing = failureOf(client.query(kinds[kind]('COMMIT')))
      await commit.reached()
      commit.cut()
      expect(await committing).toBeInstanceOf(Error)
      await eventually('the server has noticed', async () => {
        const { rows } = await witness.query(
          'SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
        )
        return rows.length === 0
      })
      expect(await marksLike(`never sent ${kind}`)).toBe(0)
    },
  )

  it('holds the second matching statement only, of whichever connection, and lets it go', async () => {
    const passing = await through(database.url, 'postgres')
    const clients = [await connected(passing.through(database.url)), await connected(passing.through(database.url))]
    const second = passing.intercept({
      matches: ({ kind, text }) => kind === 'execute' && text.startsWith('INSERT'),
      nth: 2,
      at: 'request',
    })
    const insert = (client: Client | undefined, mark: string) => client?.query('INSERT INTO marks VALUES ($1)', [mark])
    await insert(clients[0], 'first')
    const held = insert(clients[1], 'second')
    expect((await second.reached()).text).toBe('INSERT INTO marks VALUES ($1)')
    await insert(clients[0], 'third')
    expect(await marksLike('second')).toBe(0)
    second.pass()
    await held
    expect(await marksLike('second')).toBe(1)
    await Promise.all(clients.map((client) => client.end()))
  })

  it('knows a named statement that was parsed long ago', async () => {
    const passing = await through(database.url, 'postgres')
    const client = await connected(passing.through(database.url))
    const named = { name: 'mark', text: 'SELECT count(*) FROM marks WHERE mark = $1', values: ['x'] }
    await client.query(named)
    const again = passing.intercept({
      matches: ({ kind, text }) => kind === 'execute' && text === named.text,
      at: 'answer',
    })
    const asked = client.query(named)
    await again.reached()
    again.pass()
    await asked
    await client.end()
  })

  it('counts round trips: statements that leave together make one', async () => {
    const passing = await through(database.url, 'postgres')
    const client = await connected(passing.through(database.url), { pipeline: true })
    expect(passing.roundTrips).toBe(0)
    await client.query('SELECT 1')
    await Promise.all([client.query('SELECT 1'), client.query('SELECT $1::int', [1]), client.query('SELECT 1')])
    expect(passing.roundTrips).toBe(2)
    await client.end()
    expect(passing.roundTrips).toBe(2)
  })

  it('ends the connection after a message of the client, upon which the server still acts', async () => {
    const passing = await through(database.url, 'postgres')
    const client = await connected(passing.through(database.url), { pipeline: true })
    passing.endAfter('to-server', 2)
    const insert = (mark: string) => failureOf(client.query(`INSERT INTO marks VALUES ('${mark}')`))
    const failures = await Promise.all([insert('forwarded 1'), insert('forwarded 2'), insert('kept')])
    expect(failures.every((failure) => failure instanceof Error)).toBe(true)
    await eventually('the server acted', async () => (await marksLike('forwarded 2')) === 1)
    expect([await marksLike('forwarded 1'), await marksLike('kept')]).toEqual([1, 0])
  })

  it('ends the connection after a message of the server, which the client still reads', async () => {
    const passing = await through(database.url, 'postgres')
    const client = await connected(passing.through(database.url), { pipeline: true })
    // CommandComplete and ReadyForQuery.
    passing.endAfter('to-client', 2)
    const answered = client.query("INSERT INTO marks VALUES ('answered')")
    const unanswered = failureOf(client.query("INSERT INTO marks VALUES ('unanswered')"))
    expect((await answered).rowCount).toBe(1)
    expect(await unanswered).toBeInstanceOf(Error)
  })

  it('ends nothing after it was cancelled', async () => {
    const passing = await through(database.url, 'postgres')
    const client = await connected(passing.through(database.url))
    const cancel = passing.endAfter('to-server', 1)
    cancel()
    await client.query('SELECT 1')
    await client.end()
  })

  it('forwards other bytes in the place of a message, in both directions', async () => {
    const passing = await through(database.url, 'postgres')
    const client = await connected(passing.through(database.url))
    const warnings: string[] = []
    client.on('notice', ({ message = '' }) => warnings.push(message))
    passing.rewrite('to-server', ({ text }) => (text === 'SELECT 1 AS n' ? postgresQuery('SELECT 2 AS n') : null))
    passing.rewrite('to-client', ({ kind, bytes }) =>
      kind === 'complete' ? Buffer.concat([postgresWarning({ message: 'injected' }), bytes]) : null,
    )
    expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 2 }])
    expect(warnings).toEqual(['injected'])
    passing.rewrite('to-server', null)
    expect((await client.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
    await client.end()
  })

  async function marksLike(mark: string): Promise<number> {
    const { rows } = await witness.query<{ marks: number }>(
      'SELECT count(*)::int AS marks FROM marks WHERE mark = $1',
      [mark],
    )
    return rows[0]?.marks ?? -1
  }
})

describe('a proxy before Redis', () => {
  let server: RedisServer
  let client: Redis
  let witness: Redis

  beforeAll(async () => {
    server = await startRedisServer()
    witness = new Redis(server.url)
    witness.on('error', () => {})
  })
  afterEach(() => client.disconnect())
  afterAll(async () => {
    witness.disconnect()
    await server.close()
  })

  it('holds each direction, loses nothing and keeps the order', async () => {
    const passing = await start()
    passing.hold('to-server')
    const appended = Promise.all(['a', 'b', 'c'].map((letter) => client.append('letters', letter)))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await witness.exists('letters')).toBe(0)
    passing.hold('to-client')
    passing.flow('to-server')
    await eventually('they took effect', async () => (await witness.get('letters')) === 'abc')
    let isAnswered = false
    const answered = appended.then((lengths) => {
      isAnswered = true
      return lengths
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(isAnswered).toBe(false)
    passing.flow('to-client')
    expect(await answered).toEqual([1, 2, 3])
  })

  it('delays by at least what it was told, and keeps the order', async () => {
    const passing = await start()
    passing.delay('to-client', 60)
    const startedAtMs = performance.now()
    const first = client.ping('first')
    passing.delay('to-client', 0)
    expect(await first).toBe('first')
    passing.delay('to-client', 60)
    expect(await Promise.all([client.ping('second'), client.ping('third')])).toEqual(['second', 'third'])
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(59)
  })

  it('counts messages and not packets: a pipeline in one packet, a large value in many', async () => {
    const passing = await start()
    const before = passing.clientMessages
    await client.pipeline().set('a', '1').set('b', '2').get('a').exec()
    await client.set('large', 'x'.repeat(1_000_000))
    expect(passing.clientMessages - before).toBe(4)
    expect(await witness.strlen('large')).toBe(1_000_000)
  })

  it('stops the k-th message, whatever it is', async () => {
    const passing = await start()
    const third = passing.intercept({ matches: () => true, nth: 3, at: 'request' })
    const all = Promise.all([client.set('k', '1'), client.set('k', '2'), client.set('k', '3')])
    expect(await third.reached()).toMatchObject({ kind: 'SET', text: 'SET k 3' })
    await eventually('the first two took effect', async () => (await witness.get('k')) === '2')
    third.pass()
    await all
    expect(await witness.get('k')).toBe('3')
  })

  it('cuts what is open, refuses what is new, and accepts again', async () => {
    const passing = await start()
    let closes = 0
    client.on('close', () => closes++)
    passing.cut()
    await eventually('it reconnected', () => closes === 1 && client.status === 'ready')
    passing.refuse()
    await eventually('it was refused', () => closes > 2)
    expect(passing.connections).toBe(0)
    passing.accept()
    expect(await client.ping()).toBe('PONG')
  })

  it('cuts also what a stopped server does not take', async () => {
    const passing = await start()
    let closes = 0
    client.on('close', () => closes++)
    server.pause()
    // More than the kernel buffers: the proxy is left with unsent bytes.
    const asked = client.set('large', 'x'.repeat(12_000_000)).catch(() => {})
    await eventually('the proxy has begun', () => passing.connections === 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    passing.refuse()
    await eventually('the client was cut off', () => closes > 0)
    server.resume()
    passing.accept()
    await asked
  })

  it('says that nothing came when nothing came', async () => {
    const passing = await start({ boundMs: 30 })
    const never = passing.intercept({ matches: ({ kind }) => kind === 'FLUSHALL', at: 'request' })
    await expect(never.reached()).rejects.toThrow(/no such request came to the proxy within 30 ms/)
    expect(() => never.pass()).toThrow(/nothing was intercepted/)
  })

  async function start(options: { boundMs?: number } = {}): Promise<TcpProxy> {
    const passing = await through(server.url, 'redis', options)
    client = new Redis(passing.through(server.url), { retryStrategy: () => 10 })
    client.on('error', () => {})
    await client.ping()
    return passing
  }
})

describe('a proxy before an HTTP server', () => {
  let server: Server
  let url: string
  const charged: string[] = []

  beforeAll(async () => {
    server = createServer((incoming, outgoing) => {
      let body = ''
      incoming.on('data', (chunk) => {
        body += chunk
      })
      incoming.on('end', () => {
        charged.push(body)
        outgoing.end('charged')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not bound to a port')
    url = `http://127.0.0.1:${address.port}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('knows a request by its method, path and body, and loses its answer', async () => {
    const passing = await through(url, 'http')
    const isCharge = ({ kind, text }: WireMessage) => kind === 'POST' && text === '/charge?n=1\n\namount=100'
    const charge = passing.intercept({ matches: isCharge, at: 'answer' })
    const asked = failureOf(post(passing.through(url), '/charge?n=1', 'amount=100'))
    await charge.reached()
    charge.cut()
    expect(await asked).toBeInstanceOf(Error)
    expect(charged).toEqual(['amount=100'])
    expect(await post(passing.through(url), '/charge?n=2', 'amount=200')).toBe('charged')
  })

  function post(base: string, path: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-length': Buffer.byteLength(body), connection: 'close' }
      const sent = request(new URL(path, base), { method: 'POST', headers, agent: false }, (answer) => {
        let text = ''
        answer.on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve(text))
        answer.on('error', reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
})

async function through(url: string, protocol: Protocol, options: { boundMs?: number } = {}): Promise<TcpProxy> {
  const { hostname, port } = new URL(url)
  proxy = await startTcpProxy({ target: { host: hostname, port: Number(port) }, protocol, ...options })
  return proxy
}

async function connected(url: string, options: { pipeline?: boolean } = {}): Promise<Client> {
  const client = new Client({ connectionString: url, ...options })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}
