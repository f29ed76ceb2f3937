import { setTimeout as sleep } from 'node:timers/promises'
import { expectedByDefault, type InvariantId } from '../auditor/invariant.ts'
import type { RunVerdict } from '../auditor/judge-run.ts'
import type { StackAddresses } from '../stack/current-stack.ts'
import type { Stack } from '../stack/start-stack.ts'
import { askForVerdict, declareDisturbance, readProgress } from './auditor-client.ts'
import { type Billing, billSubscriptions } from './bill-subscriptions.ts'
import { type Fired, fireWhileWatching } from './fire-while-watching.ts'
import { behaveWell, countLostAnswers, loseAnswers } from './gateway-faults.ts'
import { killAmidMail, type MailKill } from './kill-amid-mail.ts'
import { type Kill, killInTheMiddle } from './kill-replica.ts'
import type { BooksWatch } from './watch-books.ts'

export interface LoadUnderFaults {
  readonly root: string
  readonly k6: string
  readonly stack: Stack
  /** Whom the load is fired at: the stack's own replicas, or the control's. */
  readonly target: StackAddresses
  readonly run: string
  readonly orders: number
  readonly copies: number
  readonly concurrency: number
  /** Share of the gateway's answers to confirms that are lost after the charge. */
  readonly lostAnswersRate: number
  /** The replica that is killed. */
  readonly victim: string
  readonly billing: { readonly subscriptions: number; readonly intervalSeconds: number }
  /** What only the real system has; null for the control, which nobody can look into, and which has no workers to kill. */
  readonly workers: Workers | null
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

export interface Workers {
  readonly watch: BooksWatch
  /** The worker that is killed while it sends mail. */
  readonly victim: string
  readonly mailSinkUrl: string
  /** How many messages all workers together can be sending at once. */
  readonly mailLanes: number
}

export interface LoadResult extends Fired {
  readonly verdict: RunVerdict | null
  readonly lostAnswers: number
  readonly kills: readonly Kill[]
  /** Null where there are no workers, or their time had not come when the load was over. */
  readonly mailKill: MailKill | null
  readonly billing: Billing
}

/** Early, because what the killed worker had in its hands leaves again only when its lease is over. */
const mailKillAtShare = 0.1
/** The kill comes when this share of the orders is through: all replicas are warm, and most of the load is still to come. */
const killAtShare = 0.3
const lookEveryMs = 100

/**
 * Fires `duplicate-payments` at three replicas, loses answers and kills a replica meanwhile, and workers while they send mail and
 * bill subscriptions, waits until everything is quiet, and has the auditor judge. What happens happens at a point of the load's
 * progress, never after a time.
 */
export async function loadUnderFaults(options: LoadUnderFaults): Promise<LoadResult> {
  const { target, run, workers, say, signal } = options
  await loseAnswers(target.gatewayUrl, options.lostAnswersRate)
  const fired = await fireAndHurt(options)
  const lostAnswers = await countLostAnswers(target.gatewayUrl)
  await behaveWell(target.gatewayUrl)
  say('audit       waiting until nothing is being processed or sent any more, then comparing all books ...')
  const expects: readonly InvariantId[] = [
    ...expectedByDefault,
    'I10',
    'I11',
    ...(workers === null ? [] : (['I7'] as const)),
  ]
  const verdict = await askForVerdict(target.auditorUrl, run, expects, signal, (why) => say(`audit       ${why}`))
  return { ...fired, lostAnswers, verdict }
}

async function fireAndHurt(options: LoadUnderFaults): Promise<Omit<LoadResult, 'verdict' | 'lostAnswers'>> {
  const { root, k6, stack, target, run, orders, copies, concurrency, workers, signal } = options
  const { watched, ...fired } = await fireWhileWatching(
    {
      ...{ root, k6, stack, target, run, orders, copies, concurrency, signal },
      ...{ name: 'duplicate-payments', receipts: workers !== null },
    },
    ({ over, onLook }) => watchAndHurt(options, over, onLook),
  )
  return { ...fired, ...watched }
}

type Hurt = Pick<LoadResult, 'kills' | 'mailKill' | 'billing'>

/**
 * Looks at the load's progress until it is over, tells of it, and does what is to be done when its time has come. The workers are
 * hurt beside the load, one thing after the other; what was begun is brought to its end also when the load is over.
 */
async function watchAndHurt(options: LoadUnderFaults, over: AbortSignal, onLook: () => void): Promise<Hurt> {
  const { target, run, orders, victim, workers, say } = options
  const kills: Kill[] = []
  let mailKill: Promise<MailKill | null> | null = null
  let billing: Promise<Billing> | null = null
  let told = 0
  while (!over.aborted) {
    onLook()
    // An auditor that is gone fails the load test itself; one that is only slow must not.
    const progress = await readProgress(target.auditorUrl, run).catch(() => null)
    const share = (progress?.orders ?? 0) / orders
    if (progress !== null && Math.floor(share * 10) > told) {
      told = Math.floor(share * 10)
      say(
        `load        ${count(progress.orders)} of ${count(orders)} orders, ${count(progress.attempts)} requests to pay`,
      )
    }
    if (workers !== null && share >= mailKillAtShare) mailKill ??= settled(killWorker(options, workers, over))
    if (kills.length === 0 && share >= killAtShare) {
      const countPaymentsOf = workers?.watch.countPaymentsOf ?? null
      const kill = await killInTheMiddle({ ...options, instance: victim, countPaymentsOf, signal: over })
      kills.push(kill)
      say(`fault       ${describeKill(kill)}`)
    }
    if (kills.length > 0) billing ??= settled(billAfter(mailKill, options))
    await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined)
  }
  options.signal.throwIfAborted()
  return { kills, mailKill: await mailKill, billing: await (billing ?? billAfter(mailKill, options)) }
}

/** It is waited for later; until then nobody may take its failure for one that nobody heard of. */
function settled<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined)
  return work
}

async function killWorker(options: LoadUnderFaults, workers: Workers, over: AbortSignal): Promise<MailKill> {
  const { stack, say } = options
  const { victim: instance, mailSinkUrl, mailLanes: lanes } = workers
  const onKilled = () => declareMessagesInFlight(options, workers, `${instance} was killed while it sent mail`)
  const kill = await killAmidMail({ stack, instance, mailSinkUrl, lanes, onKilled, signal: over })
  say(`fault       ${describeMailKill(kill)}`)
  return kill
}

/** With all workers there: they are to start the run at once. */
async function billAfter(mailKill: Promise<unknown> | null, options: LoadUnderFaults): Promise<Billing> {
  await mailKill
  const { target, run, stack, workers, say, signal } = options
  const { subscriptions, intervalSeconds } = options.billing
  say(`billing     ${subscriptions} subscriptions fall due at one moment, and every server wakes up`)
  const onKilled = () => declareMessagesInFlight(options, workers, 'the leader of the billing run was killed')
  const leader = workers === null ? null : { stack, watch: workers.watch, onKilled }
  const billing = await billSubscriptions({
    ...{ target, run, subscriptions, intervalSeconds, leader, signal },
    receipts: workers !== null,
  })
  if (billing.leaderKill !== null) say(`fault       leading the billing run, ${describeKill(billing.leaderKill)}`)
  return billing
}

async function declareMessagesInFlight(
  { target, run }: LoadUnderFaults,
  workers: Workers | null,
  what: string,
): Promise<void> {
  const messageIds = (await workers?.watch.messagesInFlight()) ?? []
  await declareDisturbance(target.auditorUrl, run, { what, messageIds })
}

/** `what` it was in the middle of: payments, or the checkouts that they are part of. */
export function describeKill({ payments, ...kill }: Kill, what = 'payments'): string {
  return describe(kill, payments === null ? '' : ` in the middle of ${payments} ${what}`)
}

export function describeMailKill({ messages, ...kill }: MailKill): string {
  return describe(kill, ` while ${messages} mails of all workers were on their way`)
}

function describe(
  { instance, at, readyAgainAt }: Pick<Kill, 'instance' | 'at' | 'readyAgainAt'>,
  amid: string,
): string {
  const downSeconds = ((readyAgainAt.getTime() - at.getTime()) / 1_000).toFixed(1)
  return `${instance} was killed with SIGKILL${amid}, and was ready again ${downSeconds} s later`
}

function count(number: number): string {
  return number.toLocaleString('en-US')
}
