import type { Claim } from './explore-report.ts'

/**
 * Each layer, what it prevents, and the layers that are on beside it. `npm run explore` measures each row.
 *
 * Layers overlap on purpose. A layer shows its use only where those are off that would stop the same fault.
 */
export const claims: readonly Claim[] = [
  {
    layer: 'idempotency key',
    prevents: 'A client that retries a payment reads that it is refused, although the money was taken.',
    given: ['advisory lock', 'version', 'unique constraint', 'gateway fence', 'generation', 'seat claim'],
    workload: 'same key twice',
  },
  {
    layer: 'redis lock',
    prevents: 'Requests that cannot win cost transactions. It prevents no double charge, and none is found without it.',
    given: [
      'idempotency key',
      ...(['advisory lock', 'version', 'unique constraint', 'gateway fence', 'generation', 'seat claim'] as const),
    ],
    workload: 'two keys',
  },
  {
    layer: 'advisory lock',
    prevents: 'An order is cancelled and paid, because both requests decide upon the same reading.',
    given: ['idempotency key', 'gateway fence', 'generation', 'seat claim'],
    workload: 'pay against cancel',
  },
  {
    layer: 'version',
    prevents: 'An order is cancelled and paid, because a write does not notice that the order has changed since.',
    given: ['idempotency key', 'gateway fence', 'generation', 'seat claim'],
    workload: 'pay against cancel',
  },
  {
    layer: 'unique constraint',
    prevents: 'Two payments of one order are claimed, and the customer is charged twice.',
    given: ['idempotency key', 'gateway fence', 'generation', 'seat claim'],
    workload: 'two keys',
  },
  {
    layer: 'gateway reference',
    prevents: 'A payment whose commits the database lost is charged again.',
    given: [
      'idempotency key',
      ...(['advisory lock', 'version', 'unique constraint', 'gateway fence', 'generation', 'seat claim'] as const),
    ],
    workload: 'lost commits',
  },
  {
    layer: 'gateway fence',
    prevents: 'A payment whose answer was lost counts as failed, and the order is charged again.',
    given: ['idempotency key', 'advisory lock', 'version', 'unique constraint', 'generation', 'seat claim'],
    workload: 'two keys',
    fault: 'pause',
  },
  {
    layer: 'generation',
    prevents: 'An owner that slept past its lease settles a payment that recovery has taken over.',
    given: ['idempotency key', 'advisory lock', 'version', 'unique constraint', 'gateway fence', 'seat claim'],
    workload: 'two keys',
    fault: 'pause',
  },
  {
    layer: 'seat claim',
    prevents: 'One seat is held by two customers.',
    given: ['idempotency key', 'advisory lock', 'version', 'unique constraint', 'gateway fence', 'generation'],
    workload: 'overlapping holds',
  },
]
