import { createHmac } from 'node:crypto'

/**
 * The `Stripe-Signature` header: the time, and one `v1` for each secret, so that a receiver that knows any of them is
 * satisfied while secrets are being rotated. Source: https://docs.stripe.com/webhooks/signature
 */
export function sign(payload: string, secrets: readonly string[], at: Date): string {
  const seconds = Math.floor(at.getTime() / 1000)
  const signatures = secrets.map((secret) => {
    const signature = createHmac('sha256', secret).update(`${seconds}.${payload}`).digest('hex')
    return `v1=${signature}`
  })
  return [`t=${seconds}`, ...signatures].join(',')
}
