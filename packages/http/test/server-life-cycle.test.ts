import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { eventually } from '@seatbelt/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { balancerLameDuckMs } from '../src/index.ts'

const program = fileURLToPath(new URL('./life-cycle-child.ts', import.meta.url))
/** Starting a child that compiles itself takes a while on a busy machine. */
const startMs = 20_000

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A real process, with its lines of log as objects. */
function start(environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
    env: { ...process.env, PORT: '0', ...environment },
  })
  children.push(child)
  let output = ''
  child.stdout?.on('data', (data) => {
    output += data
  })
  const exited = once(child, 'exit')
  const messages = () =>
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
      .map((line) => (typeof line === 'string' ? line : line.msg))
  return {
    child,
    messages,
    output: () => output,
    says: (message: string) =>
      eventually(`the child says ${message}`, () => messages().includes(message), { boundMs: startMs }),
    port: () => Number(/"port":(\d+)/.exec(output)?.[1]),
    exit: async () => {
      const [code, signal] = await exited
      return { code, signal }
    },
  }
}

/** Connects, says nothing, and goes away. */
async function isRefused(port: number): Promise<boolean> {
  const client = connect(port, '127.0.0.1')
  const refused = await once(client, 'connect').then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  )
  client.destroy()
  return refused
}

async function startWithRequestInFlight(environment: Record<string, string> = {}) {
  const running = start(environment)
  await running.says('listening')
  const url = `http://127.0.0.1:${running.port()}/`
  const inFlight = once(running.child, 'message')
  const answer = fetch(url).then(async (response) => ({
    status: response.status,
    connection: response.headers.get('connection'),
    text: await response.text(),
  }))
  answer.catch(() => {})
  await inFlight
  return { ...running, url, answer }
}

describe('the life cycle of a process', { timeout: 30_000 }, () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: it answers what is in flight, refuses what is new, exits with 0',
    async (signal) => {
      const { child, port, answer, says, messages, exit } = await startWithRequestInFlight()
      child.kill(signal)
      await says('draining')
      await eventually('new connections are refused', () => isRefused(port()))
      expect(messages()).not.toContain('closing pools')
      child.send('finish')
      expect(await answer).toEqual({ status: 200, connection: 'close', text: 'done' })
      expect(await exit()).toEqual({ code: 0, signal: null })
      expect(messages()).toEqual(['listening', 'draining', 'closing pools', 'drained'])
    },
  )

  it('behind a balancer it listens until that one has read that it is not ready', async () => {
    const { child, port, answer, says, exit } = await startWithRequestInFlight({ BEHIND_BALANCER: '1' })
    const beganAt = performance.now()
    child.kill('SIGTERM')
    await says('draining')
    await eventually('new connections are refused', () => isRefused(port()), { boundMs: 10_000 })
    expect(performance.now() - beganAt).toBeGreaterThan(balancerLameDuckMs)
    child.send('finish')
    expect(await answer).toEqual({ status: 200, connection: 'close', text: 'done' })
    expect(await exit()).toEqual({ code: 0, signal: null })
  })

  it('the same signal again: it exits at once', async () => {
    const { child, says, exit, messages } = await startWithRequestInFlight()
    child.kill('SIGINT')
    await says('draining')
    child.kill('SIGINT')
    expect(await exit()).toEqual({ code: 130, signal: null })
    expect(messages()).not.toContain('drained')
  })

  it('another signal: it goes on draining, because Ctrl-C and a parent both send one', async () => {
    const { child, answer, says, exit } = await startWithRequestInFlight()
    child.kill('SIGINT')
    await says('draining')
    child.kill('SIGTERM')
    child.send('finish')
    expect(await answer).toMatchObject({ text: 'done' })
    expect(await exit()).toEqual({ code: 0, signal: null })
  })

  it('EXIT_WITH_PARENT: the end of stdin begins the drain, and its bound is short', async () => {
    const { child, says, exit, messages } = await startWithRequestInFlight({ EXIT_WITH_PARENT: '1' })
    const beganAt = performance.now()
    child.stdin?.end()
    await says('draining')
    expect(await exit()).toEqual({ code: 0, signal: null })
    expect(messages()).toContain('requests were cut off')
    expect(performance.now() - beganAt).toBeLessThan(7_000)
  })

  it('without EXIT_WITH_PARENT the end of stdin means nothing', async () => {
    const { child, url, answer, exit } = await startWithRequestInFlight()
    child.stdin?.end()
    child.send('finish')
    await answer
    expect((await fetch(`${url}readyz`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await exit()).toEqual({ code: 0, signal: null })
  })

  it('what hangs while closing does not keep the process', async () => {
    const { child, says, exit, messages } = start({ HANG: '1' })
    await says('listening')
    child.kill('SIGTERM')
    expect(await exit()).toEqual({ code: 0, signal: null })
    expect(messages()).toEqual(['listening', 'draining', 'closing pools', 'drained'])
  })

  it.each(['/throw', '/reject'])('what nobody caught is logged and ends the process with 1 (%s)', async (path) => {
    const running = start()
    await running.says('listening')
    await expect(fetch(`http://127.0.0.1:${running.port()}${path}`)).rejects.toThrow()
    expect(await running.exit()).toEqual({ code: 1, signal: null })
    expect(running.output()).toContain('nobody caught this')
  })

  it('a port that is taken is one line that says what to do, and exit code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const { exit, messages } = start({ PORT: String(port) })
    expect(await exit()).toEqual({ code: 1, signal: null })
    expect(messages()).toEqual([
      `cannot listen on 127.0.0.1:${port}: the port is in use: stop the other process or set PORT`,
    ])
    other.close()
  })
})
