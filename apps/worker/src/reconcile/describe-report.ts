import type { ReconciliationReport, ReportedFinding } from './reconciliation-report.ts'

/** What a run found, for a terminal. */
export function describeReport(report: ReconciliationReport): string {
  return [...headline(report), ...report.findings.flatMap(describe), ...more(report)].join('\n').concat('\n')
}

function headline({ verdict, reasons, run, compared, standing, findingsInAll }: ReconciliationReport): string[] {
  const lines = {
    valid: findingsInAll === 0 ? nothingFound(compared) : `All ${findingsInAll} differences were put right.`,
    invalid: `${standing} of ${findingsInAll} differences stand.`,
    unknown: `It was not read to the end: ${reasons.join('; ')}.`,
  }
  if (!run || !compared) return [lines[verdict]]
  const { gatewayCharges, gatewayRefunds, gatewayDisputes, ourPayments, ourRefunds, leftOpen, judgedAfterMinutes } =
    compared
  return [
    lines[verdict],
    `  from ${run.from} to ${run.to}`,
    `  the gateway's ${gatewayCharges} charges, ${gatewayRefunds} refunds and ${gatewayDisputes} disputes`,
    `  our ${ourPayments} payments and ${ourRefunds} refunds`,
    ...(leftOpen > 0 ? [`  ${leftOpen} of them were not judged, because somebody is still at work on them`] : []),
    `  what is younger than ${judgedAfterMinutes} minutes was not judged`,
    '',
  ]
}

function nothingFound(compared: ReconciliationReport['compared']): string {
  return compared?.judged === 0 ? 'Nothing was old enough to be judged.' : 'Nothing differs.'
}

function describe(finding: ReportedFinding): string[] {
  const { title, meaning, gatewayMinor, booksMinor, currency, done, toDo, detail, ids, gatewayIds } = finding
  const named = [...Object.entries(ids), ...Object.entries(gatewayIds).map(([name, id]) => [`gateway's ${name}`, id])]
  return [
    `${title}: ${meaning}`,
    `  in money   the gateway ${gatewayMinor}, our books ${booksMinor} (minor units, ${currency})`,
    `  about      ${named.flatMap(([name, id]) => (id ? [`${name} ${id}`] : [])).join(', ')}`,
    ...(detail === null ? [] : [`  more       ${detail}`]),
    `  done       ${done}`,
    ...(toDo === null ? [] : [`  to do      ${toDo}`]),
    '',
  ]
}

function more({ findings, findingsInAll }: ReconciliationReport): string[] {
  const rest = findingsInAll - findings.length
  return rest > 0 ? [`... and ${rest} more.`] : []
}
