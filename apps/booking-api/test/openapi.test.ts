import { problemKinds } from '@seatbelt/http'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, it } from 'vitest'
import { testApp } from './test-app.ts'

type Json = Record<string, unknown>

const { client } = testApp()
const { body: document } = await client.get('/openapi.json')

/** Every object anywhere in the document. */
function objectsIn(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return []
  return [value as Json, ...Object.values(value).flatMap(objectsIn)]
}

/** The codes that one status of one operation is documented with. */
function codesOf(response: unknown): string[] {
  return objectsIn(response).flatMap((schema) => {
    const code = (schema.properties as { code?: { enum?: string[] } } | undefined)?.code
    return code?.enum ?? []
  })
}

const operations = Object.entries<Record<string, Json & { responses: Record<string, Json> }>>(document.paths).flatMap(
  ([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

it('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  expect(await validator.validate(structuredClone(document))).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
})

it('every reference leads somewhere', () => {
  const references = objectsIn(document).flatMap((object) => (typeof object.$ref === 'string' ? [object.$ref] : []))
  expect(references.length).toBeGreaterThan(10)
  for (const reference of references) {
    const found = reference
      .split('/')
      .slice(1)
      .reduce((inner: unknown, name) => (inner as Json | undefined)?.[name], document)
    expect(found, reference).toBeTypeOf('object')
  }
})

it('it has the operations of the contract, and no others', () => {
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
    'get /v1/bookings/{bookingId}',
    'get /v1/events',
    'get /v1/events/{eventId}',
    'get /v1/events/{eventId}/availability',
    'get /v1/events/{eventId}/changes',
    'get /v1/events/{eventId}/sections/{sectionId}/seats',
    'get /v1/holds/{holdId}',
    'post /v1/bookings/{bookingId}/cancellation',
    'post /v1/events',
    'post /v1/events/{eventId}/holds',
    'post /v1/holds/{holdId}/checkout',
    'post /v1/holds/{holdId}/extension',
    'post /v1/holds/{holdId}/release',
  ])
})

it('each documented problem exists, with the status that it is documented under', () => {
  for (const { path, method, operation } of operations) {
    for (const [status, response] of Object.entries(operation.responses)) {
      for (const code of codesOf(response)) {
        const kind = problemKinds[code as keyof typeof problemKinds]
        expect(kind?.status, `${method} ${path} ${status} ${code}`).toBe(Number(status))
      }
    }
  }
})

it('each problem of seats that exists is documented', () => {
  const documented = new Set(operations.flatMap(({ operation }) => codesOf(operation.responses)))
  const ofSeats = Object.keys(problemKinds).filter((code) =>
    /^(event|section|tier|seats|quantity|customer|hold|booking|checkout)-|^(too-many-seats|sold-out|no-adjacent-seats|paid-without-seats)$/.test(
      code,
    ),
  )
  expect(ofSeats.length).toBeGreaterThan(25)
  expect(ofSeats.filter((code) => !documented.has(code))).toEqual([])
})

it.each(['getAvailability', 'getSeatMap'])('%s says that it can be asked for with what is known', (operationId) => {
  const found = operations.find(({ operation }) => operation.operationId === operationId)?.operation
  expect(found?.parameters).toContainEqual(expect.objectContaining({ name: 'If-None-Match', in: 'header' }))
  expect(found?.responses['304']).toMatchObject({ headers: { ETag: {} } })
  expect(found?.responses['200']).toMatchObject({ headers: { ETag: {} } })
})

it('the stream says what comes in it, and how it is resumed', () => {
  const found = operations.find(({ operation }) => operation.operationId === 'followChanges')?.operation
  expect(found?.parameters).toContainEqual(expect.objectContaining({ name: 'Last-Event-ID', in: 'header' }))
  expect(found?.responses['200']).toMatchObject({ content: { 'text/event-stream': {} } })
  for (const event of ['start', 'change', 'reset']) expect(found?.description).toContain(`\`${event}\``)
  expect(Object.keys(found?.responses ?? {})).toEqual('200 400 401 404 429 500 503'.split(' '))
})

it('the documentation page takes everything from here', async () => {
  const page = await client.get('/docs')
  expect([page.status, page.type]).toEqual([200, 'text/html'])
  const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
  expect(links.length).toBeGreaterThanOrEqual(4)
  for (const link of links) expect([link, (await client.get(link)).status]).toEqual([link, 200])
})
