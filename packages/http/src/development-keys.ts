interface KeySettings {
  readonly NODE_ENV: 'development' | 'test' | 'production'
  readonly SEATBELT_DEMO_KEYS: 'accept' | 'refuse'
}

/** The key that the gateway simulator takes by default. Everybody knows it, and no real gateway does. */
const simulatorKey = 'sk_test_dev_only'

/** What the stack of this repository signs the simulator's webhooks with. */
const simulatorWebhookSecret = 'whsec_dev_only'

/** Keys with which Stripe moves real money: secret and restricted ones. */
const liveKey = /^[sr]k_live_/

/**
 * Do API keys work that are published in this repository? Not in production, unless SEATBELT_DEMO_KEYS says so: docker-compose.yml
 * does as long as nobody sets it otherwise, because it is a demo that runs what production runs.
 */
export function acceptsDevelopmentKeys({ NODE_ENV, SEATBELT_DEMO_KEYS }: KeySettings): boolean {
  return NODE_ENV !== 'production' || SEATBELT_DEMO_KEYS === 'accept'
}

/**
 * Why this gateway key may not be used with these settings, or null. For a config's own rule.
 *
 * The two mistakes that cost money or payments: whoever reads this repository could charge real cards, or a production waits for
 * a gateway that has never heard of its key.
 */
export function gatewayKeyProblem(settings: KeySettings & { readonly GATEWAY_API_KEY: string }): string | null {
  if (acceptsDevelopmentKeys(settings)) {
    if (!liveKey.test(settings.GATEWAY_API_KEY)) return null
    return 'a live key is refused where development keys work: set NODE_ENV=production and SEATBELT_DEMO_KEYS=refuse'
  }
  if (settings.GATEWAY_API_KEY !== simulatorKey) return null
  return "it is the simulator's published key, and NODE_ENV is production: set your own, or SEATBELT_DEMO_KEYS=accept"
}

/** The name where none is set and development keys work. */
export const developmentInstallation = 'seatbelt'

/**
 * Why production may not run without a name of its own, or null.
 *
 * Two databases with one name that share an account at the gateway would meet each other's payments there. A default
 * is a name that every copy has.
 */
export function installationProblem(
  settings: KeySettings & { readonly INSTALLATION?: string | undefined },
): string | null {
  if (settings.INSTALLATION !== undefined || acceptsDevelopmentKeys(settings)) return null
  return 'production names its installation'
}

/** Why these may not sign the gateway's webhooks here, or null. Whoever knows one can tell us what was paid. */
export function webhookSecretsProblem(
  settings: KeySettings & { readonly GATEWAY_WEBHOOK_SECRETS: readonly string[] },
): string | null {
  if (acceptsDevelopmentKeys(settings) || !settings.GATEWAY_WEBHOOK_SECRETS.includes(simulatorWebhookSecret))
    return null
  return "one is the simulator's, which is published, and NODE_ENV is production: set your own, or SEATBELT_DEMO_KEYS=accept"
}
