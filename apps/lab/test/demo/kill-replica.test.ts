import { expect, it } from 'vitest'
import { killInTheMiddle } from '../../src/demo/kill-replica.ts'

const { signal } = new AbortController()

function recordingStack() {
  const done: string[] = []
  const note = (what: string) => async (instance: string) => void done.push(`${what} ${instance}`)
  return { done, kill: note('kill'), startAgain: note('start') }
}

it('kills only when the replica is in the middle of payments, and starts it again', async () => {
  const stack = recordingStack()
  const counts = [0, 1, 2, 2]
  const countPaymentsOf = async () => counts.shift() ?? 0
  const kills = await killInTheMiddle({ stack, instance: 'api-2', countPaymentsOf, signal })
  expect(stack.done).toEqual(['kill api-2', 'start api-2'])
  expect(kills).toMatchObject([{ instance: 'api-2', payments: 2 }])
})

it('does it again when the kill came too late to hit a payment, three times at most', async () => {
  const stack = recordingStack()
  let asked = 0
  // Two before each kill, none after it: all were finished in between.
  const countPaymentsOf = async () => (asked++ % 2 === 0 ? 2 : 0)
  const kills = await killInTheMiddle({ stack, instance: 'api-2', countPaymentsOf, signal })
  expect(kills.map(({ payments }) => payments)).toEqual([0, 0, 0])
})

it('kills a replica that nobody can look into once, and says that it does not know', async () => {
  const stack = recordingStack()
  const kills = await killInTheMiddle({ stack, instance: 'control-2', countPaymentsOf: null, signal })
  expect([stack.done, kills[0]?.payments]).toEqual([['kill control-2', 'start control-2'], null])
})
