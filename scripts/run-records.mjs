// What a run writes down about itself in .seatbelt/runs/<id>/, so that the next start can clear away what a killed run left:
// the processes it started and the folders it made outside. Only what these records show to be ours is ever touched.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { endGroup, identify, isGone } from './process-groups.mjs'

/** Finished runs keep their logs, for whoever looks for the reason of a failure; older ones than these go. */
const FINISHED_RUNS_KEPT = 5

/** A living supervisor stops its own children one stage after the other, each with its grace period. */
const SUPERVISOR_GRACE_MS = 30_000

/** A left-over server gets this long to shut down by itself: PostgreSQL then also gives its shared memory back. */
const REAPED_GRACE_MS = 3_000

let opened = 0

/**
 * Opens a run: a folder of its own that names this process as its owner. It appears complete or not at all, so that nobody
 * who clears away at the same time takes it for an abandoned one.
 */
export function openRun(stateFolder, purpose) {
  opened += 1
  const now = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')
  const id = [now, process.pid, ...(opened === 1 ? [] : [opened])].join('-')
  const runsFolder = join(stateFolder, 'runs')
  const draft = join(runsFolder, `.${id}`)
  const folder = join(runsFolder, id)
  mkdirSync(join(draft, 'processes'), { recursive: true })
  mkdirSync(join(draft, 'logs'))
  const owner = { pid: process.pid, identity: identify(process.pid), purpose, startedAt: new Date().toISOString() }
  writeFileSync(join(draft, 'owner.json'), JSON.stringify(owner))
  renameSync(draft, folder)
  return { id, folder, logs: join(folder, 'logs') }
}

/** Writes down a process that leads its own group. Called in the same turn as its start: what is not written is not found again. */
export function recordProcess(run, name, { pid, signal = 'SIGTERM' }) {
  const record = { name, pid, signal, identity: identify(pid) }
  writeWhole(join(run.folder, 'processes', `${name}.json`), record)
}

export function forgetProcess(run, name) {
  rmSync(join(run.folder, 'processes', `${name}.json`), { force: true })
}

/** Writes down a folder outside the run's own that belongs to it. Called before the folder is filled. */
export function recordFolder(run, path) {
  writeWhole(join(run.folder, 'outside.json'), { folders: [...outsideFolders(run.folder), path] })
}

/** Ends a run of this process: its state goes, its logs stay. Its processes must have been stopped before. */
export function closeRun(run) {
  clearRunFolder(run.folder)
  if (readdirSync(run.logs).length === 0) remove(run.folder)
  forgetOldRuns(join(run.folder, '..'))
}

/**
 * Ends what abandoned runs left: runs whose owner is gone. Those of a living owner are not touched.
 * Resolves to the names of the processes that had to be ended.
 */
export async function reapAbandonedRuns(stateFolder) {
  return reapRuns(stateFolder, (owner) => owner === null || identify(owner.pid) !== owner.identity)
}

/** Ends every run of this checkout but this process's own, also those with a living owner, which is stopped first: `npm run clean`. Resolves to what was stopped. */
export async function reapAllRuns(stateFolder) {
  const stopped = []
  for (const folder of listRuns(stateFolder)) {
    const owner = readJson(join(folder, 'owner.json'))
    if (owner === null || owner.pid === process.pid || identify(owner.pid) !== owner.identity) continue
    stopped.push(owner.purpose)
    await endSupervisor(owner)
  }
  return [...stopped, ...(await reapRuns(stateFolder, (owner) => owner?.pid !== process.pid))]
}

async function endSupervisor({ pid, identity }) {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    if (identify(pid) !== identity) return
    try {
      process.kill(pid, signal)
    } catch {
      // It has just ended, or is another user's, whom we may not end.
      return
    }
    if (await isGone(pid, identity, SUPERVISOR_GRACE_MS)) return
  }
}

async function reapRuns(stateFolder, isAbandoned) {
  const ended = []
  for (const folder of listRuns(stateFolder)) {
    if (!isAbandoned(readJson(join(folder, 'owner.json')))) continue
    for (const record of listRecords(folder)) {
      if (record.identity === null || identify(record.pid) !== record.identity) continue
      ended.push(record.name)
      await endGroup(record.pid, { signal: record.signal, graceMs: REAPED_GRACE_MS, identity: record.identity })
    }
    clearRunFolder(folder)
  }
  if (ended.length > 0) forgetOldRuns(join(stateFolder, 'runs'))
  return ended
}

function clearRunFolder(folder) {
  const inside = readdirSync(folder).filter((name) => name !== 'logs' && name !== 'owner.json')
  // `outside.json` goes last: as long as a folder may be left, something must name it.
  const paths = [...inside.filter((name) => name !== 'outside.json').map((name) => join(folder, name))]
  for (const path of [...outsideFolders(folder), ...paths, join(folder, 'outside.json')]) remove(path)
}

function remove(path) {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Left by a run under another user: not ours to remove, and no reason not to start.
  }
}

function forgetOldRuns(runsFolder) {
  const finished = listFolders(runsFolder).filter((folder) => {
    const owner = readJson(join(folder, 'owner.json'))
    return owner === null || owner.pid === process.pid || identify(owner.pid) !== owner.identity
  })
  // The ids begin with the time, so that the alphabet is the order of the starts.
  for (const folder of finished.sort().slice(0, -FINISHED_RUNS_KEPT)) {
    if (listRecords(folder).length === 0) remove(folder)
  }
}

function listRuns(stateFolder) {
  return listFolders(join(stateFolder, 'runs'))
}

function listFolders(parent) {
  try {
    return readdirSync(parent)
      .filter((name) => !name.startsWith('.'))
      .map((name) => join(parent, name))
  } catch {
    return []
  }
}

function listRecords(runFolder) {
  try {
    const folder = join(runFolder, 'processes')
    const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
    const records = names.map((name) => readJson(join(folder, name)))
    return records.filter((record) => Number.isInteger(record?.pid) && record.pid > 1)
  } catch {
    return []
  }
}

function outsideFolders(runFolder) {
  return readJson(join(runFolder, 'outside.json'))?.folders ?? []
}

/** A reader sees the old text or the new one, never half of it. */
function writeWhole(path, value) {
  writeFileSync(`${path}.new`, JSON.stringify(value))
  renameSync(`${path}.new`, path)
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
