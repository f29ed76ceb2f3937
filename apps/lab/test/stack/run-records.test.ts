import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { identify, isGone, signalGroup } from '../../../../scripts/process-groups.mjs'
import { closeRun, openRun, reapAbandonedRuns, reapAllRuns, recordProcess } from '../../../../scripts/run-records.mjs'
import { temporaryFolder } from './temporary-folder.ts'

const scripts = resolve(import.meta.dirname, '../../../../scripts')

describe('a run whose owner was killed', () => {
  it('has its processes ended and its folders removed by the next start', async () => {
    const state = temporaryFolder()
    const outside = join(temporaryFolder(), 'data')
    const { owner, servers } = await startOwner(state, { outside, servers: 2 })
    await killAndWait(owner)

    const reaped = await reapAbandonedRuns(state)

    expect(reaped.sort()).toEqual(['server-0', 'server-1'])
    for (const pid of servers) expect(identify(pid)).toBeNull()
    expect(existsSync(outside)).toBe(false)
    expect(await reapAbandonedRuns(state)).toEqual([])
  })

  it('keeps its logs, and only those of the last five', async () => {
    const state = temporaryFolder()
    for (let index = 0; index < 7; index += 1) {
      const run = openRun(state, 'test')
      writeFileSync(join(run.logs, 'payments-api-1.log'), `run ${index}`)
      mkdirSync(join(run.folder, 'postgres'))
      closeRun(run)
    }
    const kept = readdirSync(join(state, 'runs')).sort()
    expect(kept.length).toBe(5)
    expect(kept.map((id) => readdirSync(join(state, 'runs', id)).sort())).toEqual(
      kept.map(() => ['logs', 'owner.json']),
    )
    const newest = join(state, 'runs', String(kept.at(-1)), 'logs/payments-api-1.log')
    expect(readFileSync(newest, 'utf8')).toBe('run 6')
  })

  it.runIf(process.platform === 'linux')('loses its servers even before the next start', async () => {
    const { owner, servers } = await startOwner(temporaryFolder(), { servers: 1, bindToParent: true })
    const [pid = 0] = servers
    const identity = identify(pid)
    expect(identity).not.toBeNull()
    await killAndWait(owner)
    expect(await isGone(pid, identity, 5_000)).toBe(true)
  })
})

describe('what is not ours to end', () => {
  it('a process that was given the number of a dead one of ours survives', async () => {
    const state = temporaryFolder()
    const stranger = startStranger()
    const run = await abandonedRun(state)
    recordProcess(run, 'postgres', { pid: stranger.pid })
    // The number is the stranger's; the moment of the start is that of a process which is long dead.
    rewriteRecord(run.folder, 'postgres', (record) => ({ ...record, identity: `${record.identity}0` }))

    expect(await reapAbandonedRuns(state)).toEqual([])
    expect(identify(stranger.pid)).toBe(stranger.identity)
  })

  it('is reaped by the same code when the record does match, so that the test above can fail', async () => {
    const state = temporaryFolder()
    const { pid } = startStranger()
    recordProcess(await abandonedRun(state), 'postgres', { pid })

    expect(await reapAbandonedRuns(state)).toEqual(['postgres'])
    expect(identify(pid)).toBeNull()
  })

  it('a run whose owner lives keeps its processes, though not from `clean`', async () => {
    const state = temporaryFolder()
    const { owner, servers } = await startOwner(state, { servers: 1 })
    const [pid = 0] = servers
    const identity = identify(pid)

    expect(await reapAbandonedRuns(state)).toEqual([])
    expect(identify(pid)).toBe(identity)

    const ended = once(owner, 'exit')
    await reapAllRuns(state)
    await ended
    expect(identify(pid)).toBeNull()
  })

  it('half a record, or none, ends nothing and stops nobody', async () => {
    const state = temporaryFolder()
    const run = await abandonedRun(state)
    writeFileSync(join(run.folder, 'processes/torn.json'), '{"name":"torn","pid":')
    writeFileSync(join(run.folder, 'processes/everybody.json'), '{"name":"everybody","pid":-1,"identity":null}')
    expect(await reapAbandonedRuns(state)).toEqual([])
  })
})

interface Owner {
  readonly owner: ChildProcess
  readonly servers: number[]
}

interface OwnerOptions {
  readonly servers: number
  readonly outside?: string
  readonly bindToParent?: boolean
}

/** A process that does what the stack does: opens a run, makes a folder outside, starts servers, and goes on living. */
async function startOwner(state: string, { servers, outside, bindToParent = false }: OwnerOptions): Promise<Owner> {
  const program = `
    import { mkdirSync, readFileSync } from 'node:fs'
    import { spawnGroup } from '${scripts}/process-groups.mjs'
    import { openRun, recordFolder, recordProcess } from '${scripts}/run-records.mjs'
    const run = openRun(${JSON.stringify(state)}, 'test')
    const outside = ${JSON.stringify(outside ?? null)}
    if (outside !== null) { recordFolder(run, outside); mkdirSync(outside) }
    const pids = Array.from({ length: ${servers} }, (_, index) => {
      const child = spawnGroup('sleep', ['600'], { stdio: 'ignore', bindToParent: ${bindToParent} })
      recordProcess(run, 'server-' + index, { pid: child.pid })
      return child.pid
    })
    // With setpriv in between, the server is there, and bound, once the name of the process is its own.
    const isThere = (pid) => !${bindToParent} || readFileSync('/proc/' + pid + '/comm', 'utf8').trim() === 'sleep'
    while (!pids.every(isThere)) await new Promise((resolve) => setTimeout(resolve, 10))
    console.log(JSON.stringify(pids))
    setInterval(() => undefined, 1000)
  `
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(owner.stdout, 'data')
  const pids: number[] = JSON.parse(String(line))
  onTestFinished(() => {
    owner.kill('SIGKILL')
    for (const pid of pids) signalGroup(pid, 'SIGKILL')
  })
  return { owner, servers: pids }
}

async function killAndWait(owner: ChildProcess): Promise<void> {
  const ended = once(owner, 'exit')
  owner.kill('SIGKILL')
  await ended
}

/** A run of a process that is dead by now. */
async function abandonedRun(state: string) {
  const { owner } = await startOwner(state, { servers: 0 })
  await killAndWait(owner)
  const folder = join(state, 'runs', String(readdirSync(join(state, 'runs'))[0]))
  return { id: 'abandoned', folder, logs: join(folder, 'logs') }
}

function startStranger(): { pid: number; identity: string | null } {
  const child = spawn('sleep', ['600'], { stdio: 'ignore', detached: true })
  const pid = child.pid ?? 0
  onTestFinished(() => void signalGroup(pid, 'SIGKILL'))
  return { pid, identity: identify(pid) }
}

function rewriteRecord(folder: string, name: string, change: (record: { identity: string }) => object): void {
  const path = join(folder, 'processes', `${name}.json`)
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))))
}
