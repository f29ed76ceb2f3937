import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Run } from '../../../../scripts/run-records.mjs'
import type { ProcessPlan } from './supervisor.ts'

export interface RedisServer {
  readonly plan: ProcessPlan
  readonly url: string
}

/** Locks and hints of some hundred bytes each; a leak is meant to be noticed rather than to eat the machine. */
const maxMemory = '64mb'

/** A Redis that keeps nothing: what it holds (locks, hints) is worth nothing after a restart. */
export function planRedis(binary: string, run: Run, port: number): RedisServer {
  const folder = join(run.folder, 'redis')
  mkdirSync(folder, { recursive: true })
  const settings = {
    port,
    bind: '127.0.0.1',
    save: '',
    appendonly: 'no',
    maxmemory: maxMemory,
    // A lock must not vanish because something else needs room: writing then fails, and the layers below go on.
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    plan: {
      name: 'redis',
      command: binary,
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
      folder,
      environment: process.env,
      endsWithParent: { signal: 'KILL' },
      stopSignal: 'SIGTERM',
      graceMs: 3_000,
      readyWithinMs: 10_000,
      isReady: () => answersPing(port),
    },
  }
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 })
    const settle = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => settle(data.toString().startsWith('+PONG')))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
    socket.once('close', () => settle(false))
  })
}
