import { expect, it } from 'vitest'
import { killInTheMiddle } from '../../src/demo/kill-replica.ts'

const { signal } = new AbortController()

function recordingStack() {
  const done: string[] = []
  const note = (what: string) => async (instance: string) => void done.push(`${what} ${instance}`)
  const stack = { kill: note('kill'), startAgain: note('start'), pid: () => 4711 }
  return { done, stack, send: (pid: number, name: string) => void done.push(`${name} ${pid}`) }
}

it('looks at a replica only while it is stopped, and kills it in that state once it is in the middle of payments', async () => {
  const { done, stack, send } = recordingStack()
  const counts = [0, 1, 2, 2]
  const countPaymentsOf = async () => counts.shift() ?? 0
  const kill = await killInTheMiddle({ stack, send, instance: 'api-2', countPaymentsOf, signal })
  const passed = ['SIGSTOP 4711', 'SIGCONT 4711']
  expect(done).toEqual([...passed, ...passed, 'SIGSTOP 4711', 'kill api-2', 'start api-2'])
  expect(kill).toMatchObject({ instance: 'api-2', payments: 2 })
})

it('is content with one payment where two at once are not to be had', async () => {
  const { done, stack, send } = recordingStack()
  const kill = await killInTheMiddle({ stack, send, instance: 'api-2', countPaymentsOf: async () => 1, signal })
  expect(done.slice(-3)).toEqual(['SIGSTOP 4711', 'kill api-2', 'start api-2'])
  expect(kill.payments).toBe(1)
})

it('waits no longer when the load is over, and then says how many payments the kill hit', async () => {
  const { done, stack, send } = recordingStack()
  const load = new AbortController()
  const countPaymentsOf = async () => {
    load.abort()
    return 0
  }
  const kill = await killInTheMiddle({ stack, send, instance: 'api-2', countPaymentsOf, signal: load.signal })
  expect(done).toEqual(['SIGSTOP 4711', 'SIGCONT 4711', 'kill api-2', 'start api-2'])
  expect(kill.payments).toBe(0)
})

it('kills a replica that nobody can look into, and says that it does not know', async () => {
  const { done, stack, send } = recordingStack()
  const kill = await killInTheMiddle({ stack, send, instance: 'control-2', countPaymentsOf: null, signal })
  expect([done, kill.payments]).toEqual([['kill control-2', 'start control-2'], null])
})
