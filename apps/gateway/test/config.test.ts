import { describe, expect, it } from 'vitest'
import { configSchema, webhooksIn } from '../src/config.ts'

describe('the configuration of webhooks', () => {
  it('is none where nothing is said', () => {
    expect(webhooksIn(configSchema.parse({}))).toEqual({ urls: [], secrets: [] })
  })

  it('takes several addresses and several secrets', () => {
    const config = configSchema.parse({
      GATEWAY_WEBHOOK_URLS: 'http://127.0.0.1:1/a,http://127.0.0.1:2/a',
      GATEWAY_WEBHOOK_SECRETS: 'whsec_new_one,whsec_old_one',
    })
    expect(webhooksIn(config)).toEqual({
      urls: ['http://127.0.0.1:1/a', 'http://127.0.0.1:2/a'],
      secrets: ['whsec_new_one', 'whsec_old_one'],
    })
  })

  it.each([
    ['an address without a secret', { GATEWAY_WEBHOOK_URLS: 'http://127.0.0.1:1' }, 'GATEWAY_WEBHOOK_SECRETS'],
    [
      'what is no address',
      { GATEWAY_WEBHOOK_URLS: 'localhost', GATEWAY_WEBHOOK_SECRETS: 'whsec_new_one' },
      'GATEWAY_WEBHOOK_URLS',
    ],
  ])('refuses %s by the name of the variable', (_name, environment, variable) => {
    const { error } = configSchema.safeParse(environment)
    expect(error?.issues.map(({ path }) => path)).toEqual([[variable]])
  })
})
