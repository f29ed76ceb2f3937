import { createHash } from 'node:crypto'

/** What is sent: a text with its values in the order of $1, $2, ... */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/** A parameter. An object must become JSON first; undefined must become null, or is a mistake. */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null | readonly SqlValue[]

/** A statement with its values, or a part of one. Values travel as parameters, never inside the text. */
export class Sql implements Statement {
  readonly values: readonly unknown[]
  /** The text around the values: one more than there are values. */
  readonly strings: readonly string[]

  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.strings = strings
    this.values = values
  }

  get text(): string {
    const known = texts.get(this.strings)
    if (known !== undefined) return known
    const text = this.strings.reduce((before, next, at) => `${before}$${at}${next}`)
    texts.set(this.strings, text)
    return text
  }
}

/** A template that contains no other one has the same strings at each call, so its text is built once. */
const texts = new WeakMap<readonly string[], string>()

/**
 * One SQL statement, or a part of one that another template contains.
 *
 * @example sql`SELECT id FROM orders WHERE id = ${id}::uuid AND ${isOpen}`
 */
export function sql(strings: readonly string[], ...parts: (Sql | SqlValue)[]): Sql {
  return parts.some((part) => part instanceof Sql) ? flatten(strings, parts) : new Sql(strings, parts)
}

/** The parts with a separator between them. Throws a RangeError where there are none, because no SQL means that. */
export function join(parts: readonly (Sql | SqlValue)[], separator = ', '): Sql {
  if (parts.length === 0) throw new RangeError('there is nothing to join')
  return flatten(['', ...parts.slice(1).map(() => separator), ''], parts)
}

export const empty: Sql = sql``

function flatten(strings: readonly string[], parts: readonly (Sql | SqlValue)[]): Sql {
  const flat: string[] = []
  const values: unknown[] = []
  let open = strings[0] ?? ''
  parts.forEach((part, at) => {
    if (part instanceof Sql) {
      part.strings.forEach((text, nth) => {
        if (nth > 0) flat.push(open)
        open = nth > 0 ? text : open + text
      })
      for (const value of part.values) values.push(value)
      open += strings[at + 1] ?? ''
    } else {
      flat.push(open)
      values.push(part)
      open = strings[at + 1] ?? ''
    }
  })
  flat.push(open)
  return new Sql(flat, values)
}

const names = new Map<string, string>()
/** A connection keeps each statement that it prepared until it is closed: a few kilobytes in PostgreSQL. */
const mostNames = 500
/** A list of rows makes a text that is long and seldom the same. */
const longestNamedText = 8_000

/**
 * The name under which connections prepare this text, or undefined for a text that is not worth preparing.
 *
 * The name comes from the text alone, so that all processes behind one pooler use the same name for the same statement.
 * Lists of different lengths make different texts; the bounds keep their number finite.
 */
export function statementName(text: string): string | undefined {
  const known = names.get(text)
  if (known !== undefined) return known
  if (names.size >= mostNames || text.length > longestNamedText) return undefined
  const name = `s${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`
  names.set(text, name)
  return name
}

/** FOR UPDATE locks; the other words write. A function that writes is not recognized. */
const writing = /(?<!\bfor\s+(no\s+key\s+)?)\b(insert|update|delete|merge|truncate)\b/i
const reads = new Set<string>()

/** Throws where a text writes that was issued as a read, because a read may leave before BEGIN was answered. */
export function assertReads(text: string): void {
  if (reads.has(text)) return
  if (writing.test(text)) throw new Error(`a read must not write: ${text}`)
  if (reads.size < mostNames) reads.add(text)
}
