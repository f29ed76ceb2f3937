import { setTimeout as sleep } from 'node:timers/promises'
import { followMail } from '../auditor/follow-mail.ts'
import type { Stack } from '../stack/start-stack.ts'
import type { Kill } from './kill-replica.ts'

export interface MailKill extends Omit<Kill, 'payments'> {
  /** Messages that the mail sink had taken without saying so; some of them were in the hands of the killed worker. */
  readonly messages: number
}

export interface MailKillOptions {
  readonly stack: Pick<Stack, 'kill' | 'startAgain'>
  readonly instance: string
  readonly mailSinkUrl: string
  /** How many messages all workers together can be sending at once. */
  readonly lanes: number
  /** Told once the process is gone, before anybody sends again what it had in its hands. */
  readonly onKilled: () => Promise<void>
  /** Fires when the load is over: then there is nothing left to wait for. */
  readonly signal: AbortSignal
}

const timeoutMs = 5_000
const pauseBetweenLooksMs = 20
/** A load that runs fills the lanes within a second; after a relay's deadline (5 s in the demo) they empty again. */
const longestWaitMs = 10_000

/**
 * Kills a worker with SIGKILL while it sends receipts, and starts it again.
 *
 * The mail sink is told to keep as many messages as there are lanes and to say nothing. When it has them all, every lane of every
 * worker waits for its answer: so the kill hits messages that have arrived and are not marked as sent, not by luck. Those of the
 * other workers lose their answer, which is the other way to send a message twice.
 */
export async function killAmidMail(options: MailKillOptions): Promise<MailKill> {
  const { stack, instance, mailSinkUrl, lanes, onKilled } = options
  await setFaults(mailSinkUrl, [{ kind: 'hang', times: lanes }])
  const messages = await waitUntilAllHang(options)
  const at = new Date()
  await stack.kill(instance)
  await onKilled()
  await setFaults(mailSinkUrl, [])
  await stack.startAgain(instance)
  return { instance, at, readyAgainAt: new Date(), messages }
}

/** Resolves with how many hang: all that were wanted, or what there is when the load or the time is over. */
async function waitUntilAllHang({ mailSinkUrl, lanes, signal }: MailKillOptions): Promise<number> {
  const mail = followMail(mailSinkUrl)
  const giveUp = AbortSignal.any([signal, AbortSignal.timeout(longestWaitMs)])
  for (;;) {
    await mail.catchUp()
    const hanging = mail.mails.filter(({ fault }) => fault === 'hang').length
    if (hanging >= lanes || giveUp.aborted) return hanging
    await sleep(pauseBetweenLooksMs, undefined, { signal: giveUp }).catch(() => undefined)
  }
}

async function setFaults(mailSinkUrl: string, faults: readonly { kind: 'hang'; times: number }[]): Promise<void> {
  const response = await fetch(`${mailSinkUrl}/v1/control/faults`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ faults }),
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (!response.ok) throw new Error(`the mail sink does not take the faults: ${response.status}`)
}
