import { parseConfig } from '@seatbelt/http'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'
import { operatorConfigSchema } from '../src/operator-config.ts'

const environment = {
  DATABASE_URL: 'postgresql://user:password@localhost:5432/seatbelt',
  REDIS_URLS: 'redis://localhost:6379',
  GATEWAY_URL: 'http://localhost:4010',
  GATEWAY_API_KEY: 'sk_test_of_our_own',
}
const mail = { SMTP_URL: 'smtp://shop:hunter2@localhost:587', MAIL_FROM: 'receipts@seatbelt.example' }

describe('mail', () => {
  it('may be left out in development, where nobody waits for a receipt', () => {
    expect(parseConfig(configSchema, environment)).toHaveProperty('value')
  })

  it('may not be left out in production, nor be set by half anywhere', () => {
    expect(parseConfig(configSchema, { ...environment, NODE_ENV: 'production' })).toEqual({
      complaints: ['SMTP_URL', 'MAIL_FROM', 'INSTALLATION'].map((name) => expect.stringMatching(`^${name} is missing`)),
    })
    expect(parseConfig(configSchema, { ...environment, SMTP_URL: mail.SMTP_URL })).toEqual({
      complaints: [expect.stringMatching(/^MAIL_FROM is missing/)],
    })
    const production = { ...environment, ...mail, NODE_ENV: 'production', INSTALLATION: 'shop-eu' }
    expect(parseConfig(configSchema, production)).toHaveProperty('value')
  })

  it.each(['http://localhost', 'localhost:25', '25'])('is not sent to %s, whose password is not told', (url) => {
    const result = parseConfig(configSchema, { ...environment, ...mail, SMTP_URL: url })
    expect(result).toEqual({
      complaints: [expect.stringMatching(/^SMTP_URL is wrong \(must be a URL of smtp or smtps\)/)],
    })
  })
})

it('webhooks go to this machine in development, where somebody says so, and never in production', () => {
  const loopback = { ...environment, ...mail, INSTALLATION: 'shop-eu', WEBHOOK_TARGETS: 'loopback' }
  expect(parseConfig(configSchema, environment)).toMatchObject({ value: { WEBHOOK_TARGETS: 'public' } })
  expect(parseConfig(configSchema, loopback)).toMatchObject({ value: { WEBHOOK_TARGETS: 'loopback' } })
  expect(parseConfig(configSchema, { ...loopback, NODE_ENV: 'production' })).toEqual({
    complaints: [expect.stringMatching(/^WEBHOOK_TARGETS is wrong/)],
  })
})

it('lanes that all have a place at the gateway: one too many would take a full house for an outage', () => {
  const lanes = (recovery: number) => ({ ...environment, RECOVERY_LANES: `${recovery}`, BILLING_LANES: '4' })
  expect(parseConfig(configSchema, lanes(27))).toHaveProperty('value')
  expect(parseConfig(configSchema, lanes(28))).toEqual({
    complaints: [expect.stringMatching(/^BILLING_LANES is wrong/)],
  })
})

it('a message is not leased for less than a relay may need for it', () => {
  const times = { RELAY_SEND_DEADLINE_MS: '15000', RELAY_LEASE_MS: '39999' }
  expect(parseConfig(configSchema, environment)).toHaveProperty('value')
  expect(parseConfig(configSchema, { ...environment, ...times })).toEqual({
    complaints: [expect.stringMatching(/^RELAY_LEASE_MS is wrong/)],
  })
})

it.each([
  ['the worker', configSchema],
  ["an operator's command", operatorConfigSchema('review')],
])('%s does not start in production without a name of its installation', (_, schema) => {
  const production = { ...environment, ...mail, NODE_ENV: 'production' }
  expect(parseConfig(schema, production)).toEqual({
    complaints: [expect.stringMatching(/^INSTALLATION is missing: the installation's name/)],
  })
  expect(parseConfig(schema, { ...production, INSTALLATION: 'shop-eu' })).toHaveProperty('value')
  expect(parseConfig(schema, { ...production, SEATBELT_DEMO_KEYS: 'accept' })).toHaveProperty('value')
})
