import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeStripeEndpoints } from '@seatbelt/gateway'
import { describe, expect, it } from 'vitest'
import {
  buildConformanceReport,
  type Found,
  judgeAnswers,
  readmeRow,
  refusedParameters,
  summarize,
} from '../../src/conformance/conformance-report.ts'
import { collectSimulatorAnswers, nameOf, statusesOf } from '../../src/conformance/simulator-answers.ts'
import { readStripeDescription } from '../../src/conformance/stripe-description.ts'
import { temporaryFolder } from '../stack/temporary-folder.ts'

/** A description in the form of Stripe's, of charges alone. */
function describeCharges() {
  const answer = (schema: object) => ({ content: { 'application/json': { schema } } })
  const charge = {
    type: 'object',
    required: ['id', 'object', 'customer', 'outcome'],
    properties: {
      id: { type: 'string' },
      object: { type: 'string', enum: ['charge'] },
      customer: { type: 'string', nullable: true },
      outcome: { anyOf: [{ $ref: '#/components/schemas/outcome' }], nullable: true },
    },
  }
  const path = join(temporaryFolder(), 'spec3.json')
  const query = (name: string) => ({ name, in: 'query' })
  const operation = {
    parameters: [query('expand'), { name: 'charge', in: 'path' }],
    responses: {
      200: answer({ $ref: '#/components/schemas/charge' }),
      default: answer({ $ref: '#/components/schemas/error' }),
    },
  }
  const schemas = {
    charge,
    outcome: { type: 'object', required: ['type'] },
    error: { type: 'object', required: ['error'] },
  }
  const openApi = {
    info: { version: '2026-08-26.dahlia' },
    paths: { '/v1/charges/{charge}': { get: operation } },
    components: { schemas },
  }
  writeFileSync(path, JSON.stringify(openApi))
  return readStripeDescription(path)
}

const charge = { id: 'ch_1', object: 'charge', customer: null, outcome: null }

describe("Stripe's description", () => {
  it.each([
    ['what fits', 200, charge, []],
    ['an object where one may be null', 200, { ...charge, outcome: { type: 'authorized' } }, []],
    ['a field that is missing', 200, { id: 'ch_1', object: 'charge', outcome: null }, [/required property 'customer'/]],
    ['a field of another type', 200, { ...charge, customer: 7 }, [/\/customer must be string/, /null/, /anyOf/]],
    ['another object', 200, { ...charge, object: 'refund' }, [/\/object must be equal to one of.*charge/]],
    ['an error, whatever its status', 404, { error: {} }, []],
    ['a status that is no error', 500, charge, [/required property 'error'/]],
  ] as const)('judges %s', (_what, status, body, violations) => {
    const found = describeCharges().violationsIn('GET', '/charges/:id', status, body)
    expect(found).toEqual(violations.map((words) => expect.stringMatching(words)))
  })

  it('has no words for an operation that Stripe has not, and names the parameters of the others', () => {
    expect(() => describeCharges().violationsIn('POST', '/charges/:id', 200, charge)).toThrow('POST /v1/charges/:id')
    expect(() => describeCharges().violationsIn('GET', '/nowhere', 200, {})).toThrow('GET /v1/nowhere')
    expect(describeCharges().parametersOf('GET', '/charges/:id')).toEqual(['expand'])
  })
})

it('every endpoint of the simulator is asked until it has answered with every status that it has', async () => {
  const exchanges = await collectSimulatorAnswers(temporaryFolder())
  const seen = new Set(exchanges.map((exchange) => `${nameOf(exchange)} ${exchange.status}`))
  const expected = describeStripeEndpoints().flatMap((endpoint) =>
    statusesOf(endpoint).map((status) => `${nameOf(endpoint)} ${status}`),
  )
  expect(expected.filter((name) => !seen.has(name))).toEqual([])
  expect([...seen].toSorted()).toEqual(expected.toSorted())
})

describe('the report', () => {
  const answers = describeStripeEndpoints().flatMap((endpoint) =>
    statusesOf(endpoint).map((status) => ({ endpoint: nameOf(endpoint), status, count: 1, violations: [] })),
  )
  const requests = [{ request: 'capture', isAccepted: true, answer: 'intent' }]
  const refusedThere = { endpoint: 'GET /charges/:id', parameters: ['expand'] }
  const whole: Found = {
    requests,
    answers,
    refused: [refusedThere],
    readme: readmeRow(refusedThere),
    brokenOffBecause: null,
  }
  const report = (changed: Partial<Found> = {}) =>
    buildConformanceReport(new Date(), '0.203.0', { ...whole, ...changed })

  it('is valid where all was compared and all of it fits', () => {
    expect(report()).toMatchObject({ verdict: 'valid', reasons: [] })
  })

  it.each<[string, Partial<Found>, string, RegExp]>([
    [
      'a request was refused',
      { requests: [{ request: 'capture', isAccepted: false, answer: '{"status":400}' }] },
      'invalid',
      /^capture: .*400/,
    ],
    [
      'an answer does not fit',
      { answers: answers.map((kind, at) => (at === 0 ? { ...kind, violations: ['/id must be string'] } : kind)) },
      'invalid',
      /^POST \/payment_intents 200: \/id must be string$/,
    ],
    ['the README is not complete', { readme: '' }, 'invalid', /README lacks the line: .*`expand`/],
    [
      'an answer was never seen',
      { answers: answers.slice(1) },
      'unknown',
      /^POST \/payment_intents 200: no such answer/,
    ],
    ['it broke off', { brokenOffBecause: 'no Go' }, 'unknown', /^no Go$/],
  ])('says why where %s', (_what, changed, verdict, reason) => {
    const built = report(changed)
    expect(built).toMatchObject({ verdict, reasons: [expect.stringMatching(reason)] })
    expect(summarize(built)).toContain(built.reasons[0])
  })

  it('sums answers up by endpoint and status, and judges the subjects of events', () => {
    const exchange = { method: 'GET', path: '/charges/:id', status: 200, body: charge } as const
    const description = describeCharges()
    const wrong = { ...charge, customer: 7 }
    expect(judgeAnswers(description, [exchange, exchange])).toEqual([
      { endpoint: 'GET /charges/:id', status: 200, count: 2, violations: [] },
    ])
    const event = { ...charge, object: 'event', data: { object: wrong } }
    const [kind] = judgeAnswers(description, [{ ...exchange, body: event }])
    expect(kind?.violations).toContainEqual(expect.stringMatching(/^its subject: \/customer must be string/))
  })

  it('lists what Stripe takes and the simulator refuses', () => {
    const all = { ...describeCharges(), parametersOf: () => ['amount', 'of_stripe_alone'] }
    expect(refusedParameters(all)).toContainEqual({ endpoint: 'POST /refunds', parameters: ['of_stripe_alone'] })
    expect(refusedParameters({ ...all, parametersOf: () => [] })).toEqual([])
  })
})
