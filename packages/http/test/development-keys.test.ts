import { describe, expect, it } from 'vitest'
import { acceptsDevelopmentKeys, gatewayKeyProblem, installationProblem, webhookSecretsProblem } from '../src/index.ts'

const simulatorKey = 'sk_test_dev_only'
const liveKey = 'sk_live_51Habc'
const restrictedLiveKey = 'rk_live_51Habc'
const ownKey = 'sk_test_51Habc'

describe('development keys', () => {
  it.each([
    ['development', 'refuse', true],
    ['test', 'refuse', true],
    ['production', 'refuse', false],
    ['production', 'accept', true],
  ] as const)('with NODE_ENV=%s and SEATBELT_DEMO_KEYS=%s: %s', (NODE_ENV, SEATBELT_DEMO_KEYS, accepted) => {
    expect(acceptsDevelopmentKeys({ NODE_ENV, SEATBELT_DEMO_KEYS })).toBe(accepted)
  })
})

describe("the gateway's key", () => {
  const problem = (NODE_ENV: 'development' | 'production', SEATBELT_DEMO_KEYS: 'accept' | 'refuse', key: string) =>
    gatewayKeyProblem({ NODE_ENV, SEATBELT_DEMO_KEYS, GATEWAY_API_KEY: key })

  it('is refused where it is the published one and production is no demo', () => {
    expect(problem('production', 'refuse', simulatorKey)).toMatch(/published key/)
    expect(problem('production', 'accept', simulatorKey)).toBeNull()
    expect(problem('development', 'refuse', simulatorKey)).toBeNull()
  })

  it.each([liveKey, restrictedLiveKey])('is refused where it moves real money and anybody may pay (%s)', (key) => {
    expect(problem('production', 'accept', key)).toMatch(/live key/)
    expect(problem('development', 'refuse', key)).toMatch(/live key/)
    expect(problem('production', 'refuse', key)).toBeNull()
  })

  it("may be one's own test key anywhere", () => {
    expect(problem('production', 'refuse', ownKey)).toBeNull()
    expect(problem('production', 'accept', ownKey)).toBeNull()
    expect(problem('development', 'refuse', ownKey)).toBeNull()
  })

  it('is never part of what is said about it', () => {
    expect(problem('production', 'accept', liveKey)).not.toContain(liveKey)
    expect(problem('production', 'refuse', simulatorKey)).not.toContain(simulatorKey)
  })
})

describe("the secrets of the gateway's webhooks", () => {
  const problem = (
    NODE_ENV: 'development' | 'production',
    SEATBELT_DEMO_KEYS: 'accept' | 'refuse',
    ...GATEWAY_WEBHOOK_SECRETS: string[]
  ) => webhookSecretsProblem({ NODE_ENV, SEATBELT_DEMO_KEYS, GATEWAY_WEBHOOK_SECRETS })

  it('of which one is published are refused where production is no demo', () => {
    expect(problem('production', 'refuse', 'whsec_own', 'whsec_dev_only')).toMatch(/published/)
    expect(problem('production', 'accept', 'whsec_dev_only')).toBeNull()
    expect(problem('development', 'refuse', 'whsec_dev_only')).toBeNull()
    expect(problem('production', 'refuse', 'whsec_own')).toBeNull()
    expect(problem('production', 'refuse')).toBeNull()
  })
})

describe("the installation's name", () => {
  const problem = (
    NODE_ENV: 'development' | 'production',
    SEATBELT_DEMO_KEYS: 'accept' | 'refuse',
    INSTALLATION?: string,
  ) => installationProblem({ NODE_ENV, SEATBELT_DEMO_KEYS, INSTALLATION })

  it('must be chosen where production is no demo', () => {
    expect(problem('production', 'refuse')).toMatch(/names its installation/)
    expect(problem('production', 'refuse', 'seatbelt')).toBeNull()
    expect(problem('production', 'accept')).toBeNull()
    expect(problem('development', 'refuse')).toBeNull()
  })
})
