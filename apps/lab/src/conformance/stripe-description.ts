import { readFileSync } from 'node:fs'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'

export interface StripeDescription {
  /** `2026-08-26.dahlia` */
  readonly apiVersion: string
  /**
   * What does not fit in an answer, in words; empty where all of it fits. `path` is below /v1, with `:id`. Fails where
   * Stripe has no such operation.
   */
  violationsIn(method: string, path: string, status: number, body: unknown): readonly string[]
  /** The same for an object of its own, by its `object`: the subject of an event. */
  violationsInObject(object: { readonly object: string }): readonly string[]
  /** The names of the parameters that Stripe takes there. */
  parametersOf(method: string, path: string): readonly string[]
}

type Json = { readonly [name: string]: unknown }

interface OpenApi {
  readonly info: { readonly version: string }
  readonly paths: { readonly [path: string]: { readonly [method: string]: Operation } }
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: {
    readonly content: { readonly [type: string]: { readonly schema: { readonly properties?: Json } } }
  }
  readonly responses: { readonly [status: string]: unknown }
}

/** One wrong field in a branch of a union makes an error for each branch. */
const mostViolations = 5

/** Reads Stripe's OpenAPI description, and compiles what of it is asked for. */
export function readStripeDescription(file: string): StripeDescription {
  const openApi = JSON.parse(readFileSync(file, 'utf8')) as OpenApi
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema(asJsonSchema(openApi) as Json, 'stripe')
  const pathsByShape = new Map(Object.keys(openApi.paths).map((path) => [shapeOf(path), path]))

  function find(method: string, path: string): { readonly pointer: string; readonly operation: Operation } {
    const found = pathsByShape.get(shapeOf(`/v1${path}`))
    const operation = openApi.paths[found ?? '']?.[method.toLowerCase()]
    if (found === undefined || !operation) throw new Error(`Stripe's description has no ${method} /v1${path}`)
    return { pointer: `paths/${escapePointer(found)}/${method.toLowerCase()}`, operation }
  }

  function validator(pointer: string): ValidateFunction {
    const validate = ajv.getSchema(`stripe#/${pointer}`)
    if (!validate) throw new Error(`Stripe's description has no ${pointer}`)
    return validate
  }

  return {
    apiVersion: openApi.info.version,
    violationsIn(method, path, status, body) {
      const { pointer, operation } = find(method, path)
      const named = Object.hasOwn(operation.responses, String(status)) ? String(status) : 'default'
      return check(validator(`${pointer}/responses/${named}/content/application~1json/schema`), body)
    },
    violationsInObject: (object) => check(validator(`components/schemas/${object.object}`), object),
    parametersOf(method, path) {
      const { parameters = [], requestBody } = find(method, path).operation
      const form = requestBody?.content['application/x-www-form-urlencoded']?.schema.properties ?? {}
      const query = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
      return [...query, ...Object.keys(form)].toSorted()
    },
  }
}

function check(validate: ValidateFunction, body: unknown): readonly string[] {
  if (validate(body)) return []
  const all = (validate.errors ?? []).map(describeError)
  return [...new Set(all)].slice(0, mostViolations)
}

function describeError({ instancePath, message, params }: ErrorObject): string {
  const more = 'allowedValues' in params ? ` (${String(params.allowedValues)})` : ''
  return `${instancePath || 'the whole'} ${message}${more}`
}

/** OpenAPI 3.0 says `nullable` where JSON Schema has a type `null`. */
function asJsonSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asJsonSchema)
  if (typeof value !== 'object' || value === null) return value
  const { nullable, ...rest } = value as Json
  const converted = Object.fromEntries(Object.entries(rest).map(([name, inner]) => [name, asJsonSchema(inner)]))
  return nullable === true ? { anyOf: [converted, { type: 'null' }] } : converted
}

/** `/v1/refunds/{refund}` and `/v1/refunds/:id` have one shape. */
function shapeOf(path: string): string {
  return path.replace(/\{[^}]*\}|:\w+/g, '*')
}

function escapePointer(name: string): string {
  return encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))
}
