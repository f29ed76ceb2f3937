import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { identify } from '../../../../scripts/process-groups.mjs'
import { closeRun, openRun } from '../../../../scripts/run-records.mjs'
import { type ProcessEnd, type ProcessPlan, type Supervisor, supervise } from '../../src/stack/supervisor.ts'
import { temporaryFolder } from './temporary-folder.ts'

describe('starting', () => {
  it('resolves when all are ready, and writes each one down while it runs', async () => {
    const { supervisor, run, plan } = prepare()
    await supervisor.start([plan('a'), plan('b')])
    for (const name of ['a', 'b']) {
      const record = JSON.parse(readFileSync(join(run.folder, 'processes', `${name}.json`), 'utf8'))
      expect(record.pid).toBe(supervisor.pid(name))
      expect(record.identity).toBe(identify(record.pid))
    }
    await supervisor.stop()
    expect(existsSync(join(run.folder, 'processes/a.json'))).toBe(false)
  })

  it('names who is not ready, with the last lines of its log, and nobody else', async () => {
    const { supervisor, run, plan } = prepare()
    // It is looked at only once it has said something, however long that takes it.
    const isReady = async () => {
      await expect.poll(() => readLog(run.logs, 'slow')).toContain('waiting for Godot')
      return false
    }
    const starting = supervisor.start([
      plan('quick'),
      plan('slow', { says: 'waiting for Godot', readyWithinMs: 300, isReady }),
    ])
    await expect(starting).rejects.toMatchObject({ code: 'not-ready' })
    const message = await starting.catch((error: Error) => error.message)
    expect(message).toContain('slow was not ready within 0.3 s')
    expect(message).toContain('waiting for Godot')
    expect(message).not.toContain('quick')
  })

  it('does not wait for one that has ended', async () => {
    const { supervisor, plan } = prepare()
    const starting = supervisor.start([
      plan('broken', { program: 'console.log("no such port"); process.exit(3)', isReady: async () => false }),
    ])
    await expect(starting).rejects.toThrow(/broken ended before it was ready \(exit code 3\).*no such port/s)
  })

  it('says so when the program does not exist', async () => {
    const { supervisor, plan } = prepare()
    const starting = supervisor.start([
      { ...plan('absent', { isReady: async () => false }), command: '/no/such/program' },
    ])
    await expect(starting).rejects.toThrow('absent ended before it was ready')
  })

  it('is given up when the signal is aborted', async () => {
    const abort = new AbortController()
    const { supervisor, plan } = prepare(abort.signal)
    const starting = supervisor.start([plan('slow', { isReady: async () => false, readyWithinMs: 60_000 })])
    const pid = supervisor.pid('slow')
    abort.abort('SIGINT')
    await expect(starting).rejects.toBe('SIGINT')
    await supervisor.stop()
    expect(identify(pid ?? 0)).toBeNull()
  })
})

describe('stopping', () => {
  it('goes from the last started to the first, and waits for each stage before it goes on', async () => {
    const { supervisor, plan, endings } = prepare()
    await supervisor.start([plan('database')])
    await supervisor.start([plan('gateway')])
    // The first of these to be asked takes longest: a supervisor that did not wait would end the gateway before it.
    await supervisor.start([plan('api', { drainMs: 300 }), plan('worker', { drainMs: 100 })])
    await supervisor.stop()
    expect(endings().slice(0, 2).sort()).toEqual(['api', 'worker'])
    expect(endings().slice(2)).toEqual(['gateway', 'database'])
  })

  it('kills one that does not listen, after its grace period, and still stops the others', async () => {
    const { supervisor, plan, endings } = prepare()
    await supervisor.start([plan('database')])
    await supervisor.start([
      plan('deaf', { program: `process.on('SIGTERM', () => undefined); console.log('ready'); ${waits}`, graceMs: 200 }),
    ])
    const pid = supervisor.pid('deaf') ?? 0
    const before = performance.now()
    await supervisor.stop()
    expect(performance.now() - before).toBeGreaterThan(200)
    expect(identify(pid)).toBeNull()
    expect(endings()).toEqual(['database'])
  })

  it('ends also what a process has started itself', async () => {
    const { supervisor, plan, folder } = prepare()
    const note = join(folder, 'grandchild')
    const program = `
      const { spawn } = await import('node:child_process')
      const { writeFileSync } = await import('node:fs')
      writeFileSync(${JSON.stringify(note)}, String(spawn('sleep', ['600']).pid))
      ${waits}`
    await supervisor.start([plan('parent', { program, isReady: async () => existsSync(note) })])
    const grandchild = Number(readFileSync(note, 'utf8'))
    expect(identify(grandchild)).not.toBeNull()
    await supervisor.stop()
    expect(identify(grandchild)).toBeNull()
  })

  it('may be asked for twice, and nothing is started after it', async () => {
    const { supervisor, plan, endings } = prepare()
    await supervisor.start([plan('a')])
    await Promise.all([supervisor.stop(), supervisor.stop()])
    expect(endings()).toEqual(['a'])
    await expect(supervisor.start([plan('late')])).rejects.toThrow('everything is being stopped')
  })
})

describe('a process that ends in between', () => {
  it('by our own hand is no news, and can be started again with the same plan', async () => {
    const { supervisor, plan } = prepare()
    const ends = collectEnds(supervisor)
    await supervisor.start([plan('replica')])
    const before = supervisor.pid('replica')
    await supervisor.kill('replica')
    expect(supervisor.pid('replica')).toBeNull()
    expect(identify(before ?? 0)).toBeNull()
    await supervisor.startAgain('replica')
    expect(supervisor.pid('replica')).not.toBe(before)
    expect(identify(supervisor.pid('replica') ?? 0)).not.toBeNull()
    expect(ends).toEqual([])
    await expect(supervisor.startAgain('replica')).rejects.toThrow('still running')
  })

  it('by itself is told, once, with how and with its last words', async () => {
    const { supervisor, plan } = prepare()
    const told = new Promise<ProcessEnd>((resolve) => supervisor.onUnexpectedEnd(resolve))
    await supervisor.start([plan('replica', { says: 'my last words' })])
    process.kill(supervisor.pid('replica') ?? 0, 'SIGKILL')
    expect(await told).toEqual({ name: 'replica', how: 'SIGKILL', lastLines: 'ready\nmy last words' })
  })
})

const waits = 'setInterval(() => undefined, 1000)'

interface Habits {
  readonly program?: string
  readonly says?: string
  readonly drainMs?: number
  readonly graceMs?: number
  readonly readyWithinMs?: number
  readonly isReady?: () => Promise<boolean>
}

/** A supervisor, and plans of small programs that write their name into one file when they have ended in good order. */
function prepare(signal?: AbortSignal) {
  const folder = temporaryFolder()
  const run = openRun(folder, 'test')
  const supervisor = supervise(run, signal)
  const endingsFile = join(folder, 'endings')
  writeFileSync(endingsFile, '')
  onTestFinished(async () => {
    await supervisor.stop()
    closeRun(run)
  })
  const plan = (name: string, habits: Habits = {}): ProcessPlan => ({
    name,
    command: process.execPath,
    args: ['--input-type=module', '--eval', habits.program ?? politeProgram(name, endingsFile, habits)],
    folder,
    environment: process.env,
    endsWithParent: { signal: 'KILL' },
    stopSignal: 'SIGTERM',
    graceMs: habits.graceMs ?? 5_000,
    readyWithinMs: habits.readyWithinMs ?? 10_000,
    isReady: habits.isReady ?? (async () => readLog(run.logs, name).includes('ready')),
  })
  const endings = () => readFileSync(endingsFile, 'utf8').split('\n').filter(Boolean)
  return { folder, run, supervisor, plan, endings }
}

function politeProgram(name: string, endingsFile: string, { says = '', drainMs = 0 }: Habits): string {
  return `
    import { appendFileSync } from 'node:fs'
    process.on('SIGTERM', () => setTimeout(() => {
      appendFileSync(${JSON.stringify(endingsFile)}, ${JSON.stringify(`${name}\n`)})
      process.exit(0)
    }, ${drainMs}))
    console.log(${JSON.stringify(['ready', says].join('\n').trim())})
    ${waits}`
}

function readLog(folder: string, name: string): string {
  const path = join(folder, `${name}.log`)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

function collectEnds(supervisor: Supervisor): ProcessEnd[] {
  const ends: ProcessEnd[] = []
  supervisor.onUnexpectedEnd((end) => ends.push(end))
  return ends
}
