import { describe, expect, it } from 'vitest'
import { type DisputeKnown, type DisputeSeen, disputeAfter, disputeState, isDisputeNews } from '../src/index.ts'

const at = (second: number) => new Date(Date.UTC(2026, 10, 29, 12, 0, second))

function seen(gatewayStatus: string, second: number, moved: DisputeSeen['moved'] = null): DisputeSeen {
  const allowsRefunds = gatewayStatus.startsWith('warning_')
  return { gatewayStatus, allowsRefunds, amountMinor: 1_000, respondBy: null, moved, seenAt: at(second) }
}

const withdrawn = { withdrawnMinor: 1_000, reinstatedMinor: 0 }
const reinstated = { withdrawnMinor: 1_000, reinstatedMinor: 1_000 }

/** All that a dispute shows in its life: asked, withdrawn, answered, won. Some of it within one second. */
const life = [
  seen('warning_needs_response', 1),
  seen('needs_response', 2, withdrawn),
  seen('under_review', 2, withdrawn),
  seen('won', 3, reinstated),
  seen('won', 3, withdrawn),
]

function* permutations<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length === 0) yield []
  for (const [index, item] of items.entries())
    for (const rest of permutations(items.toSpliced(index, 1))) yield [item, ...rest]
}

function after(news: readonly DisputeSeen[]): DisputeKnown | null {
  return news.reduce<DisputeKnown | null>((known, one) => disputeAfter(known, one), null)
}

describe('a dispute', () => {
  it('ends as the gateway shows it last, in whatever order the news arrive, each of them twice', () => {
    const won = { state: 'won', gatewayStatus: 'won', ...reinstated }
    for (const news of permutations(life)) expect(after([...news, ...news.toReversed()])).toMatchObject(won)
  })

  it('books each movement once: what it withdrew and gave back never shrinks', () => {
    for (const news of permutations(life)) {
      let known: DisputeKnown | null = null
      for (const one of news) {
        const next = disputeAfter(known, one)
        expect(next.withdrawnMinor).toBeGreaterThanOrEqual(known?.withdrawnMinor ?? 0)
        expect(next.reinstatedMinor).toBeGreaterThanOrEqual(known?.reinstatedMinor ?? 0)
        known = next
      }
    }
  })

  it('is open again after an appeal, and keeps that state when the older loss arrives once more', () => {
    const lost = seen('lost', 3, withdrawn)
    const appealed = after([lost, seen('appeal_needs_response', 4, withdrawn), lost])
    expect(appealed).toMatchObject({ state: 'open', gatewayStatus: 'appeal_needs_response' })
  })

  it('is no news when nothing but the time differs', () => {
    const known = disputeAfter(null, seen('needs_response', 1, withdrawn))
    expect(isDisputeNews(null, known)).toBe(true)
    expect(isDisputeNews(known, disputeAfter(known, seen('needs_response', 2, withdrawn)))).toBe(false)
    expect(isDisputeNews(known, disputeAfter(known, seen('lost', 2, withdrawn)))).toBe(true)
  })

  it.each([
    ['warning_needs_response', true, 'inquiry'],
    ['needs_response', false, 'open'],
    ['under_review', false, 'open'],
    ['warning_closed', true, 'closed'],
    ['prevented', false, 'closed'],
    ['won', false, 'won'],
    ['lost', false, 'lost'],
    ['a status of next year', false, 'open'],
  ])('that is %s at the gateway (refunds allowed: %s) is %s', (gatewayStatus, allowsRefunds, state) => {
    expect(disputeState({ gatewayStatus, allowsRefunds })).toBe(state)
  })
})
