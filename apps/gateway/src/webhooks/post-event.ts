/** Sends one delivery. True if it was taken, that is, answered with a 2xx. Whatever else happens is false, never thrown. */
export async function postEvent(
  url: string,
  payload: string,
  signature: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        'Stripe-Signature': signature,
        'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      },
      body: payload,
      // A webhook that was moved elsewhere was not taken.
      redirect: 'manual',
      signal,
    })
    // Read to its end, or the connection could not be used again.
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
