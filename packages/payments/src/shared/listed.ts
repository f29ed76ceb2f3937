import type { Listed, Page } from './operations.ts'

interface PageQuery<Where> {
  readonly where: Where & { readonly id?: { readonly lt: string } }
  readonly orderBy: { readonly id: 'desc' }
  readonly take: number
}

/** What Prisma must find for a page: newest first, and one row more, whose presence tells that there is a next page. */
export function pageQuery<Where extends object>({ limit, after }: Page, where: Where): PageQuery<Where> {
  return { where: { ...where, ...(after !== null && { id: { lt: after } }) }, orderBy: { id: 'desc' }, take: limit + 1 }
}

/** The page, from one row more than its limit. */
export function listed<T extends { readonly id: string }>(rows: readonly T[], limit: number): Listed<T> {
  const items = rows.slice(0, limit)
  return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
}
