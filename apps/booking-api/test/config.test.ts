import { parseConfig } from '@seatbelt/http'
import { expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'

const environment = {
  DATABASE_URL: 'postgresql://user:password@localhost:5432/seatbelt',
  REDIS_URLS: 'redis://localhost:6379',
  GATEWAY_URL: 'http://localhost:4010',
  GATEWAY_API_KEY: 'sk_test_dev_only',
}

it('what has no default is enough to start, and the defaults fit together', () => {
  expect(parseConfig(configSchema, environment)).toMatchObject({ value: { PORT: 4005, HOLD_SECONDS: 600 } })
})

it('each missing variable is named', () => {
  const names = ['DATABASE_URL', 'REDIS_URLS', 'GATEWAY_URL', 'GATEWAY_API_KEY']
  expect(parseConfig(configSchema, {})).toEqual({
    complaints: names.map((name) => expect.stringMatching(`^${name} is missing: `)),
  })
})

it.each([
  ['HOLD_SECONDS', '0'],
  ['HOLD_SECONDS', '3601'],
  ['LEASE_MS', '1000'],
  ['REDIS_LOCK', 'none'],
])('%s=%s is refused', (name, value) => {
  expect(parseConfig(configSchema, { ...environment, [name]: value })).toEqual({
    complaints: [expect.stringMatching(`^${name} is wrong`)],
  })
})

it('a quorum of two is none, and production has keys of its own', () => {
  const two = { ...environment, REDIS_LOCK: 'quorum', REDIS_URLS: 'redis://one:6379,redis://two:6379' }
  expect(parseConfig(configSchema, two)).toEqual({ complaints: [expect.stringMatching(/^REDIS_URLS is wrong/)] })
  expect(parseConfig(configSchema, { ...environment, NODE_ENV: 'production' })).toHaveProperty('complaints')
})

it('production does not start without a name of its installation', () => {
  const production = { ...environment, NODE_ENV: 'production', GATEWAY_API_KEY: 'sk_live_own' }
  expect(parseConfig(configSchema, production)).toEqual({
    complaints: [expect.stringMatching(/^INSTALLATION is missing: the installation's name/)],
  })
  expect(parseConfig(configSchema, { ...production, INSTALLATION: 'shop-eu' })).toHaveProperty('value')
})
