import { expect, it } from 'vitest'
import { createTokenBuckets } from '../src/index.ts'

function buckets() {
  let nowMs = 0
  return {
    buckets: createTokenBuckets({ perSecond: 0.5, burst: 2, now: () => nowMs }),
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

it('a bucket gives its burst, then refuses and says when there will be a token', () => {
  const { buckets: limit, pass } = buckets()
  expect([limit.take('a'), limit.take('a')].map((taken) => taken.allowed)).toEqual([true, true])
  expect(limit.take('a')).toEqual({ allowed: false, retryAfterSeconds: 2 })
  pass(1_500)
  expect(limit.take('a')).toEqual({ allowed: false, retryAfterSeconds: 1 })
  pass(500)
  expect(limit.take('a')).toEqual({ allowed: true })
  expect(limit.take('a')).toMatchObject({ allowed: false })
})

it('a pause fills a bucket to its burst and no further', () => {
  const { buckets: limit, pass } = buckets()
  limit.take('a')
  pass(3_600_000)
  expect([1, 2, 3].map(() => limit.take('a').allowed)).toEqual([true, true, false])
})

it('one name cannot empty the bucket of another', () => {
  const { buckets: limit } = buckets()
  for (let i = 0; i < 5; i++) limit.take('greedy')
  expect(limit.take('modest')).toEqual({ allowed: true })
})

it('the number of buckets is bounded: the one that was idle longest is forgotten', () => {
  const { buckets: limit } = buckets()
  limit.take('first')
  limit.take('first')
  limit.take('second')
  limit.take('second')
  for (let i = 0; i < 9_998; i++) limit.take(`other ${i}`)
  // 10,000 names are kept: both are still known, and asking makes `first` the newer one.
  expect(limit.take('first')).toMatchObject({ allowed: false })
  limit.take('one too many')
  expect(limit.take('first')).toMatchObject({ allowed: false })
  expect(limit.take('second')).toEqual({ allowed: true })
})
