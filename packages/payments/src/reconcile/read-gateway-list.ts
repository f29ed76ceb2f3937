import type { Verdict } from '@seatbelt/domain'
import type { ListAnswer } from '@seatbelt/safety'
import { askPatiently, GatewayUnreadable } from './ask-patiently.ts'
import type { Finding, StagePage } from './runs.ts'

/** An item of the gateway's list, held against our books. */
export interface Judged extends Omit<Finding, 'difference'> {
  readonly verdict: Verdict
}

interface ListToRead<Item> {
  readonly list: () => Promise<ListAnswer<Item>>
  readonly judge: (items: readonly Item[]) => Promise<readonly Judged[]>
  /** Whether the item proves that ours with this id is there. */
  readonly isSighted: (item: Item) => boolean
}

/** A page of what the gateway lists. */
export async function readGatewayList<Item extends { readonly id: string }>({
  list,
  judge,
  isSighted,
}: ListToRead<Item>): Promise<StagePage> {
  const answer = await askPatiently(list)
  if (answer.kind !== 'list') throw new GatewayUnreadable(answer)
  const { items, hasMore } = answer
  const judged = await judge(items)
  return {
    findings: judged.flatMap(({ verdict, ...ids }) =>
      verdict.kind === 'differs' ? [{ ...ids, difference: verdict.difference }] : [],
    ),
    sighted: items.filter(isSighted).map(({ id }) => id),
    counted: items.length,
    leftOpen: judged.filter(({ verdict }) => verdict.kind === 'left').length,
    next: hasMore ? (items.at(-1)?.id ?? null) : null,
  }
}
