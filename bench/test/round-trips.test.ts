import process from 'node:process'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import type { Conversation } from '../src/round-trips/conversation.ts'
import { type CountingProxy, startCountingProxy } from '../src/round-trips/counting-proxy.ts'
import { followPostgres } from '../src/round-trips/postgres-conversation.ts'
import { followRedis } from '../src/round-trips/redis-conversation.ts'

/** A message of the PostgreSQL protocol: a letter, the length of the rest, and the body. */
function message(letter: string, ...body: (string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(body.map((part) => Buffer.from(part)))
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length + 4)
  return Buffer.concat([Buffer.from(letter), length, bytes])
}

const startup = message('', Buffer.from([0, 3, 0, 0]), 'user\0bench\0\0')
const ready = message('Z', 'I')
const sync = message('S')

/** Parse, Bind and Execute of a named statement, without the Sync. */
function statement(name: string, sql: string): Buffer {
  return Buffer.concat([
    message('P', `${name}\0${sql}\0`, Buffer.alloc(2)),
    message('B', `\0${name}\0`, Buffer.alloc(6)),
    message('E', '\0', Buffer.alloc(4)),
  ])
}

const done = Buffer.concat([message('1'), message('2'), message('C', 'SELECT 1\0')])

type Line = readonly ['client' | 'server', Buffer]

/** Messages of a client and a server, and the statements of each round trip in them. */
const conversations: readonly { what: string; lines: readonly Line[]; trips: readonly (readonly string[])[] }[] = [
  {
    what: 'one statement after the other',
    lines: [
      ['client', Buffer.concat([statement('a', 'SELECT 1'), sync])],
      ['server', Buffer.concat([done, ready])],
      ['client', message('Q', 'COMMIT\0')],
      ['server', Buffer.concat([message('C', 'COMMIT\0'), ready])],
    ],
    trips: [['SELECT 1'], ['COMMIT']],
  },
  {
    what: 'three statements that leave together, in several writes',
    lines: [
      ['client', message('Q', 'BEGIN\0')],
      ['client', Buffer.concat([statement('a', 'SELECT 1'), sync])],
      ['client', Buffer.concat([statement('b', 'SELECT 2'), sync])],
      ['server', ready],
      ['server', Buffer.concat([done, ready, done, ready])],
    ],
    trips: [['BEGIN', 'SELECT 1', 'SELECT 2']],
  },
  {
    what: 'a statement that leaves while an earlier answer is missing',
    lines: [
      ['client', message('Q', 'BEGIN\0')],
      ['client', message('Q', 'SELECT 1\0')],
      ['server', ready],
      ['client', message('Q', 'SELECT 2\0')],
      ['server', Buffer.concat([ready, ready])],
      ['client', message('Q', 'COMMIT\0')],
      ['server', ready],
    ],
    trips: [['BEGIN', 'SELECT 1', 'SELECT 2'], ['COMMIT']],
  },
  {
    what: 'statements under one Sync, which is sent later',
    lines: [
      ['client', statement('a', 'SELECT 1')],
      ['server', done],
      ['client', Buffer.concat([statement('b', 'SELECT 2'), sync])],
      ['server', Buffer.concat([done, ready])],
    ],
    trips: [['SELECT 1', 'SELECT 2']],
  },
  {
    what: 'an error, after which the server still becomes ready',
    lines: [
      ['client', message('Q', 'SELECT nothing\0')],
      ['server', Buffer.concat([message('E', 'SERROR\0\0'), ready])],
      ['client', message('Q', 'ROLLBACK\0')],
      ['server', ready],
      ['client', message('X')],
    ],
    trips: [['SELECT nothing'], ['ROLLBACK']],
  },
]

describe('round trips to PostgreSQL', () => {
  it.each(conversations)('are counted: $what', ({ lines, trips }) => {
    expect(countedIn(lines)).toEqual([['connect'], ...trips])
  })

  it.each(conversations)('do not depend on how the bytes are cut: $what', ({ lines, trips }) => {
    const bytewise = lines.flatMap(([from, bytes]) => [...bytes].map((byte): Line => [from, Buffer.from([byte])]))
    expect(countedIn(bytewise)).toEqual([['connect'], ...trips])
  })
})

function countedIn(lines: readonly Line[]): (readonly string[])[] {
  const conversation: Conversation = followPostgres()
  conversation.clientSent(startup)
  conversation.serverAnswered(message('R', Buffer.alloc(4)))
  conversation.clientSent(message('p', 'SCRAM-SHA-256\0'))
  conversation.serverAnswered(ready)
  for (const [from, bytes] of lines) {
    if (from === 'client') conversation.clientSent(bytes)
    else conversation.serverAnswered(bytes)
  }
  return conversation.trips.map(({ carried }) => carried)
}

describe('round trips to Redis', () => {
  it('are counted, with replies of every shape and pushes between them', () => {
    const conversation = followRedis()
    const set = '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n'
    const get = '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n'
    conversation.clientSent(Buffer.from(set + get))
    conversation.serverAnswered(Buffer.from('+OK\r\n'))
    conversation.clientSent(Buffer.from(get))
    conversation.serverAnswered(Buffer.from('$-1\r\n>2\r\n+message\r\n+x\r\n*2\r\n$4\r\na\r\nb\r\n*1\r\n:1\r\n'))
    conversation.clientSent(Buffer.from(get))
    expect(conversation.trips.map(({ carried }) => carried)).toEqual([['SET k v', 'GET k', 'GET k'], ['GET k']])
  })
})

describe('a counting proxy before real servers', () => {
  const proxies: CountingProxy[] = []
  afterEach(async () => {
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
  })

  it('counts a transaction whose statements leave together as two round trips', async () => {
    const url = process.env.TEST_DATABASE_URL ?? ''
    const proxy = await startCountingProxy(url, followPostgres)
    proxies.push(proxy)
    const client = new pg.Client({ connectionString: proxy.through(url), pipeline: true })
    await client.connect()
    const connected = proxy.trips.length
    await Promise.all([client.query('BEGIN'), client.query({ name: 'one', text: 'SELECT 1', values: [] })])
    await Promise.all([client.query({ name: 'two', text: 'SELECT 2', values: [] }), client.query('COMMIT')])
    await client.query('SELECT 3')
    expect(proxy.trips.slice(connected).map(({ carried }) => carried)).toEqual([
      ['BEGIN', 'SELECT 1'],
      ['SELECT 2', 'COMMIT'],
      ['SELECT 3'],
    ])
    await client.end()
  })

  it('counts commands that leave together as one round trip', async () => {
    const url = process.env.TEST_REDIS_URL ?? ''
    const proxy = await startCountingProxy(url, followRedis)
    proxies.push(proxy)
    const redis = new Redis(proxy.through(url))
    await redis.ping()
    const connected = proxy.trips.length
    await Promise.all([redis.set('bench:a', '1'), redis.set('bench:b', '2'), redis.get('bench:a')])
    await redis.del('bench:a', 'bench:b')
    expect(proxy.trips.slice(connected).map(({ carried }) => carried.length)).toEqual([3, 1])
    redis.disconnect()
  })
})
