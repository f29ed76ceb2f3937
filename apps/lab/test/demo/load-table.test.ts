import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { harms, type Load, loads, wrongs } from '../../../../loadtests/lib/loads.ts'
import { runK6 } from '../../src/stack/run-k6.ts'

const root = resolve(import.meta.dirname, '../../../..')
const names = Object.keys(loads) as (keyof typeof loads)[]

/** k6 starts in half a second; a machine under load gets twenty times as long. */
const boundMs = 25_000

/** What in a script says that it counts this wrong. Those that all scripts count stand in the test. */
const countedBy: Readonly<Record<string, string>> = {
  orders_charged_wrong: 'checkChargedOnce(',
  payments_refunded_wrong: 'checkRefunded(',
  races_won_twice: 'racesWonTwice.',
  forgeries_taken: 'forgeriesTaken.',
  periods_charged_wrong: 'periodsChargedWrong.',
  answers_differ: 'answersDiffer.',
  reads_failed: 'readsFailed.',
  read_duration: 'readDuration.',
  refusal: 'told_to_wait',
  seats_given_twice: 'seatsGivenTwice.',
  seats_had_by_nobody: 'seatsHadByNobody.',
  bookings_charged_wrong: 'checkCheckout(',
  availability_wrong: 'availabilityWrong.',
  console_hidden: 'consoleHidden.',
  losers_in_database_share: 'noteLosersInDatabase(',
}
const countedByAll = ['answers_unexpected', 'audit_violations', 'copies_unsettled']

const sellsSeats = ['one-seat-stampede', 'on-sale', 'hold-expiry', 'booking-cancel-race', 'console-actions']
const createsBeforehand = ['duplicate-payments', 'billing-run', 'gateway-brownout', ...sellsSeats]

const environment = {
  ...{ REPLICAS: 'http://127.0.0.1:1', GATEWAY_URL: 'http://127.0.0.1:1', AUDITOR_URL: 'http://127.0.0.1:1' },
  ...{ RUN: 'test', API_KEY: 'key', ORDERS: '8', COPIES: '4', CONCURRENCY: '4' },
}

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

describe('the table of loads', () => {
  it('has every script, and a script for every line', () => {
    const scripts = readdirSync(join(root, 'loadtests')).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.d.ts'),
    )
    expect(scripts.map((name) => name.slice(0, -3)).sort()).toEqual([...names].sort())
  })

  it('stands in docs/load-tests.md, word for word', () => {
    const document = readFileSync(join(root, 'docs/load-tests.md'), 'utf8')
    for (const name of names) {
      expect(document).toContain(`| \`${name}\` | ${loads[name].proves} | ${loads[name].control} |`)
    }
  })

  it('has a control break something that the load looks for', () => {
    for (const name of names) {
      const { breaks, expects }: Load = loads[name]
      expect(breaks.length, name).toBeGreaterThan(0)
      expect(
        breaks.filter((id) => !expects.includes(id)),
        name,
      ).toEqual([])
    }
  })

  it('counts every harm as a wrong, and no wrong that nobody looks for', () => {
    expect([...wrongs].sort()).toEqual([...Object.keys(countedBy), ...countedByAll].sort())
    expect(harms.filter((metric) => !wrongs.includes(metric))).toEqual([])
  })
})

describe.each(names)('%s', (name) => {
  const source = readFileSync(join(root, 'loadtests', `${name}.ts`), 'utf8')
  const { faults }: Load = loads[name]

  it('asks for the verdict and tells its summary under its own name', () => {
    expect(source).toContain(`countVerdict('${name}')`)
    expect(source).toContain(`summarize('${name}', data)`)
  })

  it('breaks the gateway as the table says, and heals it before it asks for the verdict', () => {
    if (faults.length === 0) {
      expect(source).not.toContain('Gateway(')
      return
    }
    expect(source).toContain(`breakGateway('${name}'`)
    expect(source).toMatch(/teardown\([^)]*\): void \{\n {2}healGateway\(\)\n(?: {2}.*\n)*? {2}countVerdict/)
  })

  it(
    'has a threshold for each wrong that it can count, and coverage beside it',
    () => {
      const { thresholds } = inspect(name)
      const counted = Object.keys(countedBy).filter((metric) => source.includes(countedBy[metric] ?? ''))
      for (const metric of ['script_errors', ...countedByAll, ...counted])
        expect(Object.keys(thresholds), metric).toContain(metric)
      for (const { on, kind } of faults) expect(thresholds[`faults_fired{fault:${on}_${kind}}`]).toEqual(['count>0'])
      const looksUp = sellsSeats.includes(name) ? 'checkouts_checked' : 'orders_checked'
      for (const metric of [looksUp, 'copies_settled', 'audit_invariants_judged']) {
        // Zero of these is what a load that did nothing would have.
        expect(thresholds[metric]?.join(), metric).toMatch(/^count(==[1-9]|>0)/)
      }
    },
    boundMs,
  )

  it(
    'does not pass against a shop where nothing can be done',
    async () => {
      const url = await startClosedShop()
      const stack = { replicas: [url], bookingReplicas: [url], gatewayUrl: url, auditorUrl: url }
      const options = { root, k6: process.env.K6_BIN ?? 'k6', name, stack, log: '/dev/null', run: 'test' }
      const outcome = await runK6({ ...options, orders: 2, copies: 2, concurrency: 2, settleWithinMs: 100 })
      // What needs something beforehand breaks off there; of the others every threshold about coverage is crossed.
      expect(outcome).toBe(createsBeforehand.includes(name) ? 'unknown' : 'failed')
    },
    2 * boundMs,
  )
})

function inspect(name: string): { readonly thresholds: Readonly<Record<string, readonly string[]>> } {
  const args = ['inspect', '--include-system-env-vars', join(root, 'loadtests', `${name}.ts`)]
  const env = { ...process.env, ...environment, K6_AUTO_EXTENSION_RESOLUTION: 'false' }
  return JSON.parse(execFileSync(process.env.K6_BIN ?? 'k6', args, { env, encoding: 'utf8', stdio: 'pipe' }))
}

/** Knows how to misbehave, and nothing else: whatever is asked for is not there. */
async function startClosedShop(): Promise<string> {
  const server = createServer((request, response) => {
    const isControl = request.url === '/_control/faults'
    response.writeHead(isControl ? 200 : 404, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(isControl ? { faults: [] } : { code: 'not-found' }))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
