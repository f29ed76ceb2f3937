import type { Execution } from '@seatbelt/explore'
import { escapeHtml } from '../../report-html.ts'
import type { PageData } from './page-data.ts'
import { moneyOf, notesOf } from './step-facts.ts'

/** The page's script draws the diagram when a reader opens what the figure is in. */
export function renderFigure(title: string, execution: Execution, data: PageData): string {
  return figure(title, data.addExecution(execution))
}

/** Two figures beside each other, with equal steps at equal heights. */
export function renderPair(ours: [string, Execution], theirs: [string, Execution], data: PageData): string {
  const [one, other] = data.addPair(ours[1], theirs[1])
  return `<div class="pair">${figure(ours[0], one)}\n${figure(theirs[0], other)}</div>`
}

function figure(title: string, number: number): string {
  return `<figure data-execution="${number}"><figcaption>${escapeHtml(title)}</figcaption><noscript>The diagram needs JavaScript.</noscript></figure>`
}

/** Such as "charged twice after 28 steps, 1 switch, crash". */
export function describeBroken(execution: Execution): string {
  const { schedule, steps, violations } = execution
  const second = moneyOf(steps).indexOf('taken again')
  const [what = 'no violation'] = violations
  const short = shortWords[what.split(':', 1).join('')] ?? what
  const result = second < 0 ? `${short}, ${steps.length} steps` : `charged twice after ${second + 1} steps`
  const switches = notesOf(execution)
    .flat()
    .filter(({ kind }) => kind === 'switch').length
  const faults = schedule.deviations.flatMap(({ kind }) => (kind === 'switch' || kind === 'victim' ? [] : [kind]))
  const counted = switches === 1 ? '1 switch' : `${switches || 'no'} switches`
  return [result, counted, ...faults].join(', ')
}

/** Of the auditor's invariants. The opened row has the whole text. */
const shortWords: Readonly<Record<string, string>> = {
  I3: 'a charge or payment is left over',
  I4: 'one seat has two owners',
  I6: 'the money and the order disagree',
  I8: 'the answers to one key differ',
  generation: 'two owners act under one generation',
}

/** Of a workload: its name, and its programs, which a reader knows by their names alone. */
export function wordsOf(workload: string): string {
  const own = workloads[workload]
  return `Workload “${workload}”${own === undefined ? '.' : `: ${own}`}`
}

const workloads: Readonly<Record<string, string>> = {
  'same key twice': '“a” and “b” pay one order with one idempotency key, as an impatient client does.',
  'two keys': '“a” and “b” pay one order with two idempotency keys.',
  'two keys and the webhook':
    '“a” and “b” pay one order with two idempotency keys, and the gateway delivers what it did until then.',
  'pay against cancel': '“a” pays an order, and “b” cancels it.',
  'overlapping holds': '“a” and “b” hold the same seats for two customers.',
  'checkout against expiry':
    '“a” checks out a hold, “b” lets it expire, and “c” holds the same seats for another customer.',
  'lost commit against capture': '“a” authorizes a payment, and “b” captures it.',
}
