import { expect, it } from 'vitest'
import { z } from 'zod'
import { connectionOptions, integerField, operationFields, parseConfig, processFields } from '../src/index.ts'

const schema = z.object({
  ...processFields({ instance: 'shop-1', port: 3000 }),
  DATABASE_URL: z.url('must be a URL').describe('the PostgreSQL to use, such as postgresql://user@host/name'),
  LEASE_MS: integerField({ min: 1_000, max: 60_000 }).default(10_000).describe('how long an owner is alone'),
})

it('fills in what has a default', () => {
  expect(parseConfig(schema, { DATABASE_URL: 'postgresql://localhost/a' })).toEqual({
    value: {
      HOST: '127.0.0.1',
      PORT: 3000,
      INSTANCE: 'shop-1',
      LOG_LEVEL: 'info',
      NODE_ENV: 'development',
      EXIT_WITH_PARENT: false,
      DATABASE_URL: 'postgresql://localhost/a',
      LEASE_MS: 10_000,
    },
  })
})

it('says in one line a variable what is missing or wrong and what it is for, and never its value', () => {
  const result = parseConfig(schema, { DATABASE_URL: '', LEASE_MS: 'hunter2', PORT: '65536', EXIT_WITH_PARENT: 'yes' })
  expect(result).toEqual({
    complaints: [
      expect.stringMatching(/^PORT is wrong \(.*65535.*\): the port to listen on/),
      expect.stringMatching(/^EXIT_WITH_PARENT is wrong/),
      'DATABASE_URL is missing: the PostgreSQL to use, such as postgresql://user@host/name',
      'LEASE_MS is wrong (must be a whole number): how long an owner is alone',
    ],
  })
  expect(JSON.stringify(result)).not.toMatch(/hunter2|\\n/)
})

it.each([['1e3'], ['-1'], ['1.5'], [' 1000'], ['0x10'], ['9999999999999']])('does not take %j for a number', (text) => {
  expect(parseConfig(z.object({ N: integerField({ min: 0, max: 10_000 }) }), { N: text })).toHaveProperty('complaints')
})

it('a rule over several variables is told as it is', () => {
  const ruled = schema.refine((config) => config.LEASE_MS > 5_000, 'LEASE_MS must be above all deadlines')
  expect(parseConfig(ruled, { DATABASE_URL: 'postgresql://localhost/a', LEASE_MS: '1000' })).toEqual({
    complaints: ['the configuration: LEASE_MS must be above all deadlines'],
  })
})

it('prepares statements unless the setting says off', () => {
  const { DATABASE_PREPARED } = operationFields({ poolSize: 1 })
  const read = (environment: Record<string, string>) => parseConfig(z.object({ DATABASE_PREPARED }), environment)
  expect(read({})).toEqual({ value: { DATABASE_PREPARED: true } })
  expect(read({ DATABASE_PREPARED: 'off' })).toEqual({ value: { DATABASE_PREPARED: false } })
  expect(read({ DATABASE_PREPARED: '0' })).toEqual({
    complaints: [expect.stringMatching(/^DATABASE_PREPARED is wrong .*: off: prepare no statements, for a pooler/)],
  })
})

it('an installation without a name is seatbelt, so that names at the gateway stay what they were', () => {
  const { INSTANCE } = processFields({ instance: 'shop-1', port: 3000 })
  const operations = z.object({ INSTANCE, ...operationFields({ poolSize: 1 }) })
  const needed = {
    DATABASE_URL: 'postgresql://localhost/a',
    REDIS_URLS: 'redis://localhost',
    GATEWAY_URL: 'http://localhost:4010',
    GATEWAY_API_KEY: 'sk_test_own',
  }
  const installationOf = (environment: Record<string, string>) => {
    const config = parseConfig(operations, { ...needed, ...environment })
    return 'value' in config ? connectionOptions(config.value).installation : config
  }
  expect(installationOf({})).toBe('seatbelt')
  expect(installationOf({ INSTALLATION: '' })).toBe('seatbelt')
  expect(installationOf({ INSTALLATION: 'shop-eu' })).toBe('shop-eu')
})
