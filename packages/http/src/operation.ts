import type { Call, Refusal } from '@seatbelt/domain'
import { z } from 'zod'
import type { Answer } from './answer.ts'
import { fingerprint } from './fingerprint.ts'
import { type ProblemCode, problem } from './problem.ts'
import { refusalAnswer } from './refusal-answer.ts'
import { validate } from './validation.ts'

/**
 * One method on one path: what it takes, what it may answer, and what it does. The router and the OpenAPI document are
 * both made from it, so that what is documented is what is checked.
 */
export interface Operation {
  readonly method: 'get' | 'post'
  /** With Express's `:name` for a parameter. */
  readonly path: string
  readonly operationId: string
  /** The heading under which it is documented. */
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly params: z.ZodObject
  readonly query: z.ZodObject
  readonly body: z.ZodObject | null
  /** What is said where no body comes, if that is refused. Otherwise it is read as the empty object. */
  readonly bodyMissing?: string
  /** For what needs more than `maxBodyBytes`: each has a bound of its own, and so has their number. */
  readonly largeBody?: LargeBody
  /** Its answers are made by `createConditionalAnswer`, so that 304 is one of them. */
  readonly isConditional?: boolean
  /** What is answered besides problems, by status. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema: z.ZodType }>>
  /** Those of its own. What every operation can answer is added where it is mounted or documented. */
  readonly problems: readonly ProblemCode[]
  readonly handle: (request: OperationRequest) => Promise<Answer>
}

export interface LargeBody {
  readonly maxBytes: number
  /** Read or worked on at once, in this process. Others are refused with 503. */
  readonly atOnce: number
}

/** A request as it comes out of the ladder: authenticated, and otherwise not looked at. */
export interface OperationRequest {
  readonly accountId: string
  /** Null for what changes nothing. */
  readonly idempotencyKey: string | null
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: unknown
  readonly body: unknown
}

/** For what takes no parameters, no query or no body. */
export const nothing = z.strictObject({})

type Described<Params extends z.ZodObject> = Pick<
  Operation,
  'path' | 'operationId' | 'tag' | 'summary' | 'description' | 'answers' | 'problems'
> & {
  readonly params: Params
  /**
   * What is said of an id in the path that is none: the same as of one that nobody knows. A client cannot do anything
   * else about it, and ids stay opaque.
   */
  readonly unknownId?: (params: Readonly<Record<string, string>>) => Refusal
}

/** An operation that only looks. */
export function defineQuery<Params extends z.ZodObject, Query extends z.ZodObject>(
  definition: Described<Params> & {
    readonly query: Query
    readonly isConditional?: boolean
    readonly handle: (input: {
      readonly accountId: string
      readonly params: z.output<Params>
      readonly query: z.output<Query>
    }) => Promise<Answer>
  },
): Operation {
  return {
    ...definition,
    method: 'get',
    body: null,
    handle: async (request) => {
      const params = readParams(definition, request)
      if (isAnswer(params)) return params
      const query = validate(definition.query, request.query)
      if (isAnswer(query)) return query
      return definition.handle({ accountId: request.accountId, params: params.value, query: query.value })
    },
  }
}

/** An operation that changes something, and is done once per idempotency key. It takes no query. */
export function defineCommand<Params extends z.ZodObject, Body extends z.ZodObject>(
  definition: Described<Params> & {
    readonly body: Body
    readonly bodyMissing?: string
    readonly largeBody?: LargeBody
    readonly handle: (input: {
      readonly call: Call
      readonly params: z.output<Params>
      readonly body: z.output<Body>
    }) => Promise<Answer>
  },
): Operation {
  return {
    ...definition,
    method: 'post',
    query: nothing,
    handle: async (request) => {
      const { accountId, idempotencyKey: key } = request
      if (key === null) throw new Error('A command came without its key: the steps are mounted in the wrong order.')
      const params = readParams(definition, request)
      if (isAnswer(params)) return params
      const query = validate(nothing, request.query)
      if (isAnswer(query)) return query
      const body = validate(definition.body, request.body)
      if (isAnswer(body)) return body
      const call = { accountId, key, fingerprint: fingerprint('POST', request.path, request.body) }
      return definition.handle({ call, params: params.value, body: body.value })
    },
  }
}

export function readParams<Params extends z.ZodObject>(
  { params, unknownId }: Pick<Described<Params>, 'params' | 'unknownId'>,
  request: Pick<OperationRequest, 'params'>,
): { value: z.output<Params> } | Answer {
  const result = params.safeParse(request.params)
  if (result.success) return { value: result.data }
  return unknownId ? refusalAnswer(unknownId(request.params)) : problem('not-found', 'Nothing has this path.')
}

export function isAnswer<Other extends object>(either: Other | Answer): either is Answer {
  return 'status' in either
}
