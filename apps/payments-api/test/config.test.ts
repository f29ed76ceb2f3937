import { parseConfig } from '@seatbelt/http'
import { expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'

const environment = {
  DATABASE_URL: 'postgresql://user:password@localhost:5432/seatbelt',
  REDIS_URLS: 'redis://localhost:6379,redis://localhost:6380',
  GATEWAY_URL: 'http://localhost:4010',
  GATEWAY_API_KEY: 'sk_test_dev_only',
}

it('what has no default is enough to start, and the defaults fit together', () => {
  expect(parseConfig(configSchema, environment)).toMatchObject({
    value: { PORT: 4001, REDIS_URLS: ['redis://localhost:6379', 'redis://localhost:6380'] },
  })
})

it('each missing variable is named, with what it is for', () => {
  expect(parseConfig(configSchema, {})).toEqual({
    complaints: [
      expect.stringMatching(/^DATABASE_URL is missing: the PostgreSQL/),
      expect.stringMatching(/^REDIS_URLS is missing: the Redis servers/),
      expect.stringMatching(/^GATEWAY_URL is missing: the payment gateway/),
      expect.stringMatching(/^GATEWAY_API_KEY is missing: the gateway's secret key/),
    ],
  })
})

it.each([
  ['DATABASE_URL', 'mysql://localhost/seatbelt'],
  ['REDIS_URLS', 'localhost:6379'],
  ['REDIS_URLS', 'redis://localhost:6379,'],
  ['GATEWAY_URL', 'localhost:4010'],
  ['NODE_ENV', 'prod'],
])('%s=%s is refused', (name, value) => {
  expect(parseConfig(configSchema, { ...environment, [name]: value })).toEqual({
    complaints: [expect.stringMatching(`^${name} is wrong`)],
  })
})

it('a lease that is shorter than what its owner may have to do is refused', () => {
  const leaseOf = (leaseMs: number) => ({ ...environment, GATEWAY_DEADLINE_MS: '2000', LEASE_MS: String(leaseMs) })
  expect(parseConfig(configSchema, leaseOf(20_000))).toHaveProperty('value')
  expect(parseConfig(configSchema, leaseOf(20_000 - 1))).toEqual({
    complaints: [expect.stringMatching(/^LEASE_MS is wrong \(19999 ms is too short/)],
  })
})

it("the gateway's webhook secrets: none, one, or several while they are rotated; the published one not in production", () => {
  const secretsOf = (GATEWAY_WEBHOOK_SECRETS: string, rest = {}) =>
    parseConfig(configSchema, { ...environment, ...rest, GATEWAY_WEBHOOK_SECRETS })
  expect(secretsOf('')).toMatchObject({ value: { GATEWAY_WEBHOOK_SECRETS: [] } })
  expect(secretsOf('whsec_new,whsec_old')).toMatchObject({
    value: { GATEWAY_WEBHOOK_SECRETS: ['whsec_new', 'whsec_old'] },
  })
  const wrong = { complaints: [expect.stringMatching(/^GATEWAY_WEBHOOK_SECRETS is wrong/)] }
  for (const secrets of ['short', 'whsec_new,', 'whsec_new, whsec_old']) expect(secretsOf(secrets)).toEqual(wrong)
  expect(
    secretsOf('whsec_dev_only', { NODE_ENV: 'production', GATEWAY_API_KEY: 'sk_live_own', INSTALLATION: 'shop-eu' }),
  ).toEqual(wrong)
})

it('production does not start without a name of its installation', () => {
  const production = { ...environment, NODE_ENV: 'production', GATEWAY_API_KEY: 'sk_live_own' }
  expect(parseConfig(configSchema, production)).toEqual({
    complaints: [expect.stringMatching(/^INSTALLATION is missing: the installation's name/)],
  })
  expect(parseConfig(configSchema, { ...production, INSTALLATION: 'shop-eu' })).toHaveProperty('value')
})
