import type { Listed } from './operations.ts'

/** A page of at most `limit` items, from one more row than that: its presence tells that there is a next page. */
export function listed<T extends { readonly id: string }>(rows: readonly T[], limit: number): Listed<T> {
  const items = rows.slice(0, limit)
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
}
