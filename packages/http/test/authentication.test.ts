import { createHash } from 'node:crypto'
import { createLatch } from '@seatbelt/testing'
import { expect, it } from 'vitest'
import { createAuthenticate, createTokenBuckets } from '../src/index.ts'

const accountId = '0192f000-0000-7000-8000-000000000001'
const account = { kind: 'account', accountId }
const stranger = { kind: 'stranger' }

/** Keys in a map instead of a database, and a clock that moves when told. */
function setUp({ burst = 1_000, developmentKeys = 'accepted' as 'accepted' | 'refused', hold = async () => {} } = {}) {
  const valid = new Set(['good', 'other', 'sb_dev_only_0000000000000000'])
  const asked: string[] = []
  const clock = { nowMs: 0 }
  const now = () => clock.nowMs
  const byHash = (hash: Uint8Array) => [...valid].find((key) => sha256(key).equals(hash))
  const authenticate = createAuthenticate({
    developmentKeys,
    now,
    strangers: createTokenBuckets({ perSecond: 0.1, burst, now }),
    findAccountByKeyHash: async (hash) => {
      const key = byHash(hash)
      asked.push(key ?? 'unknown')
      await hold()
      return key === undefined ? null : { accountId }
    },
  })
  const withKey = (key: string, address = 'here') => authenticate(`Bearer ${key}`, address)
  return { authenticate, withKey, valid, asked, clock }
}

function sha256(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

it('a valid key is looked up by its SHA-256 once, and then known for five seconds', async () => {
  const { withKey, asked, clock } = setUp()
  expect(await withKey('good')).toEqual(account)
  clock.nowMs = 4_999
  expect(await withKey('good')).toEqual(account)
  expect(asked).toEqual(['good'])
  clock.nowMs = 5_000
  expect(await withKey('good')).toEqual(account)
  expect(asked).toEqual(['good', 'good'])
})

it('a revoked key is refused five seconds later at most, counted from before the look-up that found it', async () => {
  const found = createLatch('the look-up found the key')
  const { withKey, valid, clock } = setUp({ hold: () => found.wait() })
  const first = withKey('good')
  valid.delete('good')
  clock.nowMs = 4_000
  found.open()
  expect(await first).toEqual(account)
  clock.nowMs = 4_999
  expect(await withKey('good')).toEqual(account)
  clock.nowMs = 5_000
  expect(await withKey('good')).toEqual(stranger)
})

it('an unknown key is not looked up again for a second, and works a second after it was made', async () => {
  const { withKey, valid, asked, clock } = setUp()
  expect(await withKey('new')).toEqual(stranger)
  valid.add('new')
  clock.nowMs = 999
  expect(await withKey('new')).toEqual(stranger)
  expect(asked).toEqual(['unknown'])
  clock.nowMs = 1_000
  expect(await withKey('new')).toEqual(account)
})

it('many requests with one key cost one look-up at a time', async () => {
  const released = createLatch('the look-up may end')
  const { withKey, asked } = setUp({ hold: () => released.wait() })
  const all = Array.from({ length: 50 }, () => withKey('good'))
  released.open()
  expect(await Promise.all(all)).toEqual(Array(50).fill(account))
  expect(asked).toEqual(['good'])
})

it('a fault of the look-up reaches the request and is not remembered', async () => {
  const faults = [new Error('down')]
  const { withKey } = setUp({
    hold: async () => {
      const fault = faults.pop()
      if (fault) throw fault
    },
  })
  await expect(withKey('good')).rejects.toThrow('down')
  expect(await withKey('good')).toEqual(account)
})

it.each([
  ['nothing', undefined],
  ['another scheme', 'Basic Z29vZA=='],
  ['no key', 'Bearer '],
  ['two keys', 'Bearer good good'],
  ['a key longer than 200 characters', `Bearer ${'k'.repeat(201)}`],
])('%s in the header is a stranger, without a look-up', async (_what, header) => {
  const { authenticate, asked } = setUp()
  expect(await authenticate(header, 'here')).toEqual(stranger)
  expect(asked).toEqual([])
})

it('the scheme is read in any case', async () => {
  const { authenticate } = setUp()
  expect(await authenticate('bearer good', 'here')).toEqual(account)
})

it('a development key is a stranger where it is refused, without a look-up', async () => {
  const key = 'sb_dev_only_0000000000000000'
  const refusing = setUp({ developmentKeys: 'refused' })
  expect(await refusing.withKey(key)).toEqual(stranger)
  expect(refusing.asked).toEqual([])
  expect(await setUp().withKey(key)).toEqual(account)
})

it('an address that guesses too often gets no more look-ups of its own; another address does', async () => {
  const { withKey, asked } = setUp({ burst: 3 })
  for (const guess of ['guess-1', 'guess-2', 'guess-3']) expect(await withKey(guess)).toEqual(stranger)
  for (let i = 4; i < 100; i++) {
    expect(await withKey(`guess-${i}`)).toEqual({ kind: 'too-many', retryAfterSeconds: 10 })
  }
  // Three of its own, and ten that all such addresses share within a second.
  expect(asked).toHaveLength(13)
  expect(await withKey('another', 'elsewhere')).toEqual(stranger)
})

it('a good key passes from an address that guesses too often, also where it was never seen', async () => {
  const { withKey, clock } = setUp({ burst: 3 })
  expect(await withKey('good')).toEqual(account)
  for (let i = 0; i < 100; i++) await withKey(`guess-${i}`)
  clock.nowMs = 6_000
  expect(await withKey('good')).toEqual(account)
  expect(await withKey('other')).toEqual(account)
})

it.each([
  ['2001:db8:1:200::1', '2001:db8:1:2ff:ffff::9', 'too-many'],
  ['2001:db8:1:200::1', '2001:db8:1:300::1', 'stranger'],
  ['::ffff:203.0.113.7', '203.0.113.7', 'too-many'],
  ['203.0.113.7', '203.0.113.8', 'stranger'],
])('guesses from %s count for %s: %s', async (one, other, kind) => {
  const { authenticate } = setUp({ burst: 3 })
  for (let i = 0; i < 3; i++) await authenticate(undefined, one)
  expect(await authenticate(undefined, other)).toMatchObject({ kind })
})

it('few unknown keys are looked up at once, and of those that wait for it not many', async () => {
  const released = createLatch('the look-ups may end')
  const { withKey, asked } = setUp({ hold: () => released.wait() })
  const all = Array.from({ length: 200 }, (_, i) => withKey(`guess-${i}`, `address-${i}`))
  const beyond = { kind: 'too-many', retryAfterSeconds: 1 }
  expect(await Promise.all(all.slice(104))).toEqual(Array(96).fill(beyond))
  expect(asked).toHaveLength(4)
  released.open()
  expect(await Promise.all(all.slice(0, 104))).toEqual(Array(104).fill(stranger))
})

it('guesses do not drive a good key out of the cache', async () => {
  const { withKey, asked } = setUp({ burst: 100_000 })
  await withKey('good')
  for (let i = 0; i < 12_000; i++) await withKey(`guess-${i}`)
  await withKey('good')
  expect(asked.filter((key) => key === 'good')).toHaveLength(1)
})
