import type { OperationName } from '../plan.ts'
import type { BenchReport, Series } from './bench-report.ts'
import { cpuParts, renderCpu } from './chart-cpu.ts'
import { renderLatency } from './chart-latency.ts'
import { short } from './chart-parts.ts'
import { renderThroughput } from './chart-throughput.ts'
import { renderTrips } from './chart-trips.ts'
import { operationTitles } from './titles.ts'

const shownOperations = ['payment', 'replay', 'hold', 'checkout'] as const satisfies readonly OperationName[]
const concurrencies = [1, 16, 64]

const explanations: Readonly<Record<(typeof shownOperations)[number], string>> = {
  payment:
    'Each request pays for a different order. The gateway takes part of every payment, however fast the system is.',
  replay: 'A client repeats a request with the same idempotency key and receives the recorded answer.',
  hold: 'Two seats of a seat map are reserved for a customer.',
  checkout: 'A hold is paid for and booked: authorization, booking and capture, three requests to the gateway.',
}

export function renderCharts(report: BenchReport): string {
  return [
    legend([
      ['seatbelt', 'Seatbelt'],
      ['yardstick', 'yardsticks'],
      ['unsafe', 'unsafe: charges twice when requests are repeated or processes die'],
    ]),
    ...shownOperations.map((operation) => renderOperation(report, operation)),
    renderCpuSection(report),
    renderTripsSection(report),
  ].join('\n')
}

function renderOperation({ series }: BenchReport, operation: (typeof shownOperations)[number]): string {
  const measured = concurrencies.flatMap((inFlight) => {
    const ofOne = series.filter((one) => one.operation === operation && one.inFlight === inFlight)
    return ofOne.length === 0 ? [] : [{ inFlight, ofOne }]
  })
  if (measured.length === 0) return ''
  const gatewayMs = operation === 'payment' ? gatewayTime(series) : null
  const throughput = measured.map(({ inFlight, ofOne }) =>
    figure(`${inFlight} in flight`, renderThroughput(ofOne, `${operation}s a second, ${inFlight} in flight`)),
  )
  const latency = measured.map(({ inFlight, ofOne }) =>
    figure(`${inFlight} in flight`, renderLatency(ofOne, `time of a ${operation}, ${inFlight} in flight`, gatewayMs)),
  )
  const reference =
    gatewayMs === null ? '' : ` The dashed line is what the gateway alone takes for a payment (${short(gatewayMs)} ms).`
  return `<h2>${operationTitles[operation]}</h2><p class="soft">${explanations[operation]}</p>
<h3>Requests a second: the bar is the median, each dot is one run</h3><div class="cards">${throughput.join('\n')}</div>
<h3>Time of a request: the bar is the median, the whisker the 99th percentile.${reference}</h3><div class="cards">${latency.join('\n')}</div>`
}

function gatewayTime(series: readonly Series[]): number | null {
  const [create, confirm] = (['create-intent', 'confirm-intent'] as const).map(
    (operation) => series.find((one) => one.operation === operation)?.p50Ms ?? null,
  )
  return create == null || confirm == null ? null : create + confirm
}

function renderCpuSection({ series }: BenchReport): string {
  const charts = shownOperations.flatMap((operation) => {
    const ofOne = series.filter((one) => one.operation === operation && one.inFlight === 64)
    const isMeasured = ofOne.some(({ cpuMsPerRequest }) => cpuMsPerRequest.api !== null)
    return isMeasured ? [figure(operationTitles[operation], renderCpu(ofOne, `CPU time of a ${operation}`))] : []
  })
  if (charts.length === 0) return ''
  return `<h2>CPU time of one request</h2>
<p class="soft">With 64 in flight. The figures are the API process, and all processes together.</p>
${legend(cpuParts.map(({ name, title }) => [name, title]))}
<div class="cards">${charts.join('\n')}</div>`
}

function renderTripsSection({ roundTrips }: BenchReport): string {
  const charts = shownOperations.flatMap((operation) => {
    const counted = roundTrips.filter((one) => one.operation === operation)
    return counted.length === 0
      ? []
      : [figure(operationTitles[operation], renderTrips(counted, `round trips of a ${operation}`))]
  })
  if (charts.length === 0) return ''
  return `<h2>Round trips of one request</h2>
<p class="soft">One square is one wait for a server. Each operation ran alone, through a proxy that counts; point at a square to see what it carried.</p>
${legend([
  ['api', 'PostgreSQL'],
  ['redis', 'Redis'],
])}
<div class="cards">${charts.join('\n')}</div>`
}

function figure(caption: string, chart: string): string {
  return `<figure><figcaption>${caption}</figcaption>${chart}</figure>`
}

/** Pairs of a color's variable and what it stands for. */
function legend(entries: readonly (readonly [string, string])[]): string {
  const marks = entries.map(([color, text]) => `<span><i style="background:var(--${color})"></i>${text}</span>`)
  return `<p class="legend">${marks.join('')}</p>`
}
