const timeoutMs = 5_000

/** Has the gateway lose this share of its answers to confirms after it has charged: the caller sees a dead connection. */
export async function loseAnswers(gatewayUrl: string, rate: number): Promise<void> {
  await control(gatewayUrl, { faults: [{ on: 'confirm', kind: 'drop-after', rate }], seed })
}

export async function behaveWell(gatewayUrl: string): Promise<void> {
  await control(gatewayUrl, { faults: [] })
}

/** How many answers were lost since `loseAnswers`. */
export async function countLostAnswers(gatewayUrl: string): Promise<number> {
  const response = await fetch(`${gatewayUrl}/_control/faults`, { signal: AbortSignal.timeout(timeoutMs) })
  if (!response.ok) throw new Error(`the gateway answered ${response.status}`)
  const { faults } = (await response.json()) as { faults: readonly { fired: number }[] }
  return faults.reduce((sum, { fired }) => sum + fired, 0)
}

/** The same dice in every run, so that two runs differ by what they do and not by their luck. */
const seed = 7

async function control(gatewayUrl: string, body: object): Promise<void> {
  const response = await fetch(`${gatewayUrl}/_control/faults`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (!response.ok) throw new Error(`the gateway does not take the faults: ${response.status} ${await response.text()}`)
}
