// A process for server-life-cycle.test.ts: it tells its parent what happens, and finishes requests when told to.
import { once } from 'node:events'
import { createLogger, listen } from '../src/index.ts'

const port = Number(process.env.PORT)
await listen({
  app: async (request, response) => {
    if (request.url === '/throw') return setImmediate(() => throwUncaught())
    if (request.url === '/reject') return void Promise.reject(new Error('nobody caught this'))
    process.send?.('in flight')
    await once(process, 'message')
    response.end('done')
  },
  host: '127.0.0.1',
  port,
  logger: createLogger({ level: 'info', instance: 'child-1' }),
  isReady: async () => true,
  exitWithParent: process.env.EXIT_WITH_PARENT === '1',
  isBehindBalancer: process.env.BEHIND_BALANCER === '1',
  onDrained: async () => {
    process.stdout.write('"closing pools"\n')
    // Longer than any test: a server that hangs, as far as this process can tell.
    if (process.env.HANG === '1') await new Promise((resolve) => setTimeout(resolve, 120_000))
  },
})

function throwUncaught(): never {
  throw new Error('nobody caught this')
}
