import { z } from 'zod'
import type { Reading as Shelf } from '../books.ts'
import type { Page } from '../shelf.ts'
import { type Answer, noSuch } from './answer.ts'

/** Unix seconds. */
const seconds = z
  .string()
  .regex(/^\d{1,11}$/, { error: 'Invalid timestamp' })
  .transform(Number)

/** What every list takes. */
export const listParameters = {
  created: z
    .union([
      seconds,
      z.strictObject({
        gt: seconds.optional(),
        gte: seconds.optional(),
        lt: seconds.optional(),
        lte: seconds.optional(),
      }),
    ])
    .optional(),
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, { error: 'Limit must be between 1 and 100.' })
    .transform(Number)
    .optional(),
  starting_after: z.string().optional(),
}

export interface ListGiven {
  readonly created?: number | CreatedFilter | undefined
  readonly limit?: number | undefined
  readonly starting_after?: string | undefined
}

type CreatedFilter = { readonly [bound in 'gt' | 'gte' | 'lt' | 'lte']?: number | undefined }

interface ListOptions<T> {
  readonly url: string
  /** What the things are called in the refusal of a cursor. */
  readonly kind: string
  /** Null: all of them. */
  readonly group: string | null
  readonly render: (thing: T) => object
}

/** A page of a list, newest first. */
export function answerList<T extends { id: string; createdAt: string }>(
  shelf: Shelf<T>,
  given: ListGiven,
  { url, kind, group, render }: ListOptions<T>,
): Answer {
  const startingAfter = given.starting_after ?? null
  if (startingAfter !== null && !shelf.find(startingAfter)) return noSuch(kind, startingAfter, 'starting_after')
  const page: Page = { limit: given.limit ?? 10, startingAfter, group, ...createdBetween(given.created ?? {}) }
  const { things, hasMore } = shelf.page(page)
  return { status: 200, body: { object: 'list', url, has_more: hasMore, data: things.map(render) } }
}

/** On the wire a time is cut to seconds, and the filter means what is on the wire. */
function createdBetween(created: number | CreatedFilter): { createdFromMs: number; createdToMs: number } {
  const { gt, gte, lt, lte } = typeof created === 'number' ? { gte: created, lte: created } : { ...created }
  return {
    createdFromMs: Math.max(gte === undefined ? 0 : gte * 1000, gt === undefined ? 0 : (gt + 1) * 1000),
    createdToMs: Math.min(
      lt === undefined ? Number.POSITIVE_INFINITY : lt * 1000,
      lte === undefined ? Number.POSITIVE_INFINITY : (lte + 1) * 1000,
    ),
  }
}
