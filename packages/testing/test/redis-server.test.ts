import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { startRedisServer } from '../src/index.ts'

describe('a Redis server of one’s own', () => {
  it('can be paused, resumed, killed and restarted empty, and is gone when closed', async () => {
    const server = await startRedisServer()
    const client = new Redis(server.url, { retryStrategy: () => 20 })
    client.on('error', () => {})
    const firstPid = server.pid
    try {
      await client.set('key', 'value')

      server.pause()
      let answered = false
      const asked = client.get('key').finally(() => {
        answered = true
      })
      // The kernel took the question, and no process answers it.
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(answered).toBe(false)
      server.resume()
      expect(await asked).toBe('value')

      await server.kill()
      expect(isAlive(firstPid)).toBe(false)
      await server.restart()
      expect(server.pid).not.toBe(firstPid)
      expect(await client.get('key')).toBeNull()

      server.pause()
      const lastPid = server.pid
      await server.close()
      expect(isAlive(lastPid)).toBe(false)
    } finally {
      client.disconnect()
      await server.close()
    }
  })

  it('says what to do when there is no such program', async () => {
    const saved = process.env.REDIS_SERVER_BIN
    process.env.REDIS_SERVER_BIN = '/nowhere/redis-server'
    try {
      await expect(startRedisServer()).rejects.toThrow(/redis-server/)
    } finally {
      if (saved === undefined) delete process.env.REDIS_SERVER_BIN
      else process.env.REDIS_SERVER_BIN = saved
    }
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
