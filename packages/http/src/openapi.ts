import { keyLifetimeHours } from '@seatbelt/domain'
import { z } from 'zod'
import type { Operation } from './operation.ts'
import { type ProblemCode, problemKinds, problemType } from './problem.ts'
import { keyLifetimeHeader } from './recorded-answer.ts'
import type { SignedOperation } from './signed-operation.ts'
import type { StreamOperation } from './stream-operation.ts'

export interface OpenApiOptions {
  readonly title: string
  readonly version: string
  readonly description: string
  readonly operations: readonly Operation[]
  readonly signed: readonly SignedOperation[]
  readonly streams: readonly StreamOperation[]
  /** Named ones become components, and are referred to wherever they occur. */
  readonly schemas: Readonly<Record<string, z.ZodType>>
}

type Json = Record<string, unknown>

/** What any operation can answer, whatever it does. */
const problemsOfAll: readonly ProblemCode[] = [
  'unauthenticated',
  'invalid-request',
  'too-many-requests',
  'internal',
  'temporarily-unavailable',
]

/** What any operation that takes a key and a body can answer besides. */
const problemsOfCommands: readonly ProblemCode[] = [
  'idempotency-key-missing',
  'idempotency-key-malformed',
  'idempotency-key-reused',
  'request-in-progress',
  'malformed-json',
  'body-too-large',
  'unsupported-media-type',
]

/** An OpenAPI 3.1 document, made from the operations that are mounted and the schemas that validate. */
export function openApiDocument(options: OpenApiOptions): Json {
  const components = componentSchemas(options.schemas)
  return {
    openapi: '3.1.1',
    info: {
      title: options.title,
      version: options.version,
      description: options.description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    paths: paths(options),
    components: {
      schemas: { ...components, Problem: jsonSchema(problemSchema, 'output') },
      securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } },
      headers: commonHeaders,
    },
  }
}

/** RFC 9457, with our `code`. Further members depend on the code. */
const problemSchema = z.looseObject({
  type: z.string().describe('urn:seatbelt:problem:<code>'),
  title: z.string().describe('The same for every problem of this code'),
  status: z.int(),
  code: z.enum(Object.keys(problemKinds)).describe('What to compare'),
  detail: z.string().describe('For people; may change'),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .describe('Of invalid-request'),
  retryAfterSeconds: z.int().optional().describe('As in the Retry-After header'),
})

const commonHeaders = {
  RequestId: { description: 'Names this request in the logs', schema: { type: 'string' } },
  Instance: { description: 'The replica that answered', schema: { type: 'string' } },
  Replayed: {
    description: '"true" when this is the recorded answer of an earlier request',
    schema: { type: 'string' },
  },
  KeyLifetime: {
    description:
      'How long the key and this answer are kept, in seconds from the first time that it was given. Afterwards the key counts as new.',
    schema: { type: 'integer' },
  },
  Location: { description: 'Where to look', schema: { type: 'string' } },
  RetryAfter: { description: 'Seconds', schema: { type: 'integer' } },
  ETag: { description: 'Names these very bytes', schema: { type: 'string' } },
}

function paths({ operations, signed, streams, schemas }: OpenApiOptions): Json {
  const byPath: Record<string, Json> = {}
  for (const operation of operations) {
    const path = templateOf(operation.path)
    byPath[path] = { ...byPath[path], [operation.method]: describe(operation, schemas) }
  }
  for (const operation of streams) byPath[templateOf(operation.path)] = { get: describeStream(operation, schemas) }
  for (const operation of signed) byPath[operation.path] = { post: describeSigned(operation, schemas) }
  return byPath
}

function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}')
}

function describe(operation: Operation, schemas: OpenApiOptions['schemas']): Json {
  const isRecorded = operation.method === 'post'
  return {
    operationId: operation.operationId,
    tags: [operation.tag],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    parameters: [
      ...parameters('path', operation.params),
      ...parameters('query', operation.query),
      ...(isRecorded ? [idempotencyKeyParameter] : []),
      ...(operation.isConditional ? [ifNoneMatchParameter] : []),
    ],
    ...(operation.body === null ? {} : { requestBody: requestBody({ ...operation, body: operation.body }, schemas) }),
    responses: {
      ...answers(operation.answers, { schemas, isRecorded, isConditional: operation.isConditional ?? false }),
      ...(operation.isConditional ? { 304: notModified } : {}),
      ...problems([...problemsOfAll, ...(isRecorded ? problemsOfCommands : []), ...operation.problems], isRecorded),
    },
  }
}

/** Neither an API key nor a key for the request: the signature says who sends it, and its body what it is about. */
function describeSigned(operation: SignedOperation, schemas: OpenApiOptions['schemas']): Json {
  const { operationId, tag, summary, description, signatureHeader, bodySchema, problems: codes } = operation
  const header = { name: signatureHeader, in: 'header', required: true, schema: { type: 'string' } }
  return {
    ...{ operationId, tags: [tag], summary, description },
    security: [],
    parameters: [header],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: reference(bodySchema, schemas, 'input') } },
    },
    responses: {
      ...answers(operation.answers, { schemas, isRecorded: false, isConditional: false }),
      ...problems(codes, false),
    },
  }
}

/** OpenAPI has no words for the events of a stream: they are told as text, and their data as schemas of that name. */
function describeStream(operation: StreamOperation, schemas: OpenApiOptions['schemas']): Json {
  const { operationId, tag, summary, description, params, events } = operation
  const told = Object.entries(events).map(([name, event]) => {
    const { $ref: place } = reference(event.schema, schemas, 'output')
    return `- \`${name}\`: ${event.description}${place === undefined ? '' : ` Its data: \`${place}\`.`}`
  })
  return {
    ...{ operationId, tags: [tag], summary, description: [description, ...told].join('\n') },
    parameters: [...parameters('path', params), lastEventIdParameter],
    responses: {
      200: {
        description: 'The stream, which ends when the client or this replica goes',
        headers: responseHeaders(200, false),
        content: { 'text/event-stream': { schema: { type: 'string' } } },
      },
      ...problems([...problemsOfAll, ...operation.problems], false),
    },
  }
}

const lastEventIdParameter = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The id of the last event that came, to go on after it. What was missed comes first, or `reset`.',
  schema: { type: 'string' },
}

const ifNoneMatchParameter = {
  name: 'If-None-Match',
  in: 'header',
  required: false,
  description: 'The ETag of what the client has',
  schema: { type: 'string' },
}

const notModified = {
  description: 'The client has it already',
  headers: { ETag: { $ref: '#/components/headers/ETag' } },
}

const idempotencyKeyParameter = {
  name: 'Idempotency-Key',
  in: 'header',
  required: true,
  description: `A new one for each thing to be done, the same one for each try of it: a bare token or a quoted string (RFC 8941). A key is kept for ${keyLifetimeHours} hours after its answer, and longer while its payment or refund is not final. A retry after that is a new request.`,
  schema: { type: 'string', minLength: 1, maxLength: 512 },
}

function parameters(place: 'path' | 'query', schema: z.ZodObject): Json[] {
  const described = jsonSchema(schema, 'output')
  const required = jsonSchema(schema, 'input').required ?? []
  return Object.entries(described.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: property,
  }))
}

function requestBody(
  { body, bodyMissing }: { readonly body: z.ZodObject } & Pick<Operation, 'bodyMissing'>,
  schemas: OpenApiOptions['schemas'],
): Json {
  const mayBeMissing = bodyMissing === undefined && body.safeParse({}).success
  return { required: !mayBeMissing, content: { 'application/json': { schema: reference(body, schemas, 'input') } } }
}

interface AnswerOptions {
  readonly schemas: OpenApiOptions['schemas']
  /** Are final answers recorded under a key, so that they can come again? */
  readonly isRecorded: boolean
  readonly isConditional: boolean
}

function answers(byStatus: Operation['answers'], { schemas, isRecorded, isConditional }: AnswerOptions): Json {
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, { description, schema }]) => [
      status,
      {
        description,
        headers: {
          ...responseHeaders(Number(status), isRecorded),
          ...(isConditional ? notModified.headers : {}),
        },
        content: { 'application/json': { schema: reference(schema, schemas, 'output') } },
      },
    ]),
  )
}

function problems(codes: readonly ProblemCode[], isRecorded: boolean): Json {
  const statuses = [...new Set(codes.map((code) => problemKinds[code].status))].sort()
  return Object.fromEntries(
    statuses.map((status) => {
      const sameStatus = codes.filter((code) => problemKinds[code].status === status)
      return [
        status,
        {
          description: sameStatus.map((code) => `\`${code}\`: ${problemKinds[code].title}.`).join('\n\n'),
          headers: responseHeaders(status, isRecorded),
          content: { 'application/problem+json': { schema: problemReference(sameStatus) } },
        },
      ]
    }),
  )
}

function problemReference(codes: readonly ProblemCode[]): Json {
  return {
    allOf: [
      { $ref: '#/components/schemas/Problem' },
      { properties: { code: { enum: codes }, type: { enum: codes.map(problemType) } } },
    ],
  }
}

function responseHeaders(status: number, isRecorded: boolean): Json {
  const header = (name: keyof typeof commonHeaders) => ({ $ref: `#/components/headers/${name}` })
  const recorded = isRecorded && [200, 201, 402].includes(status)
  return {
    'X-Request-Id': header('RequestId'),
    'Seatbelt-Instance': header('Instance'),
    ...(recorded ? { 'Idempotent-Replayed': header('Replayed'), [keyLifetimeHeader]: header('KeyLifetime') } : {}),
    ...(status === 201 || status === 202 ? { Location: header('Location') } : {}),
    ...([202, 409, 429, 503].includes(status) ? { 'Retry-After': header('RetryAfter') } : {}),
  }
}

function reference(schema: z.ZodType, schemas: OpenApiOptions['schemas'], io: 'input' | 'output'): Json {
  const name = Object.entries(schemas).find(([, known]) => known === schema)?.[0]
  return name === undefined ? jsonSchema(schema, io) : { $ref: componentUri(name) }
}

function componentSchemas(schemas: OpenApiOptions['schemas']): Json {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id })
  const made = z.toJSONSchema(registry, { uri: componentUri })
  return Object.fromEntries(Object.entries(made.schemas).map(([name, schema]) => [name, withoutIds(schema)]))
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): z.core.JSONSchema.BaseSchema {
  return withoutIds(z.toJSONSchema(schema, { io }))
}

/** The document says once which dialect it has, and components are found by their place. */
function withoutIds({ $schema: _dialect, $id: _id, ...schema }: z.core.JSONSchema.BaseSchema) {
  return schema
}

function componentUri(name: string): string {
  return `#/components/schemas/${name}`
}
