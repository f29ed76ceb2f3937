import { expect, it } from 'vitest'
import { type DeclinesSeen, decideOnDeclines } from '../src/index.ts'

const seen = (overrides: Partial<DeclinesSeen>): DeclinesSeen => ({
  scope: 'order',
  limit: 3,
  declines: 0,
  oldestLeavesInSeconds: 0,
  underWay: 0,
  ...overrides,
})
const refused = (scope: DeclinesSeen['scope'], retryAfterSeconds: number) => {
  return { code: 'too-many-declines', scope, retryAfterSeconds }
}

it.each([
  ['no limit', [], { code: 'pay' }],
  ['below the limit', [seen({ declines: 2 })], { code: 'pay' }],
  ['at the limit', [seen({ declines: 3, oldestLeavesInSeconds: 40 })], refused('order', 40)],
  ['a decline that leaves the window just now', [seen({ declines: 3 })], refused('order', 1)],
  [
    'at the limit with what is under way',
    [seen({ declines: 2, underWay: 1, oldestLeavesInSeconds: 40 })],
    refused('order', 1),
  ],
  [
    'two limits, of which one is reached for longer',
    [
      seen({ declines: 3, oldestLeavesInSeconds: 40 }),
      seen({ scope: 'account', declines: 3, oldestLeavesInSeconds: 90 }),
    ],
    refused('account', 90),
  ],
] as const)('declines: %s', (_, declines, decision) => {
  expect(decideOnDeclines(declines)).toEqual(decision)
})
