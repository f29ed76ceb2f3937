// One at a time across processes: two runs from one checkout must not install packages, and two runs of one user must not
// build k6, at the same moment. The lock names its holder, so that a killed holder does not keep it.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { identify } from './process-groups.mjs'

const LOOK_AGAIN_MS = 200

/** The longest of what is done under such a lock: k6 built from source on a slow machine. */
const WAIT_AT_MOST_MS = 20 * 60_000

/**
 * Runs `work` while no other process does so under the same path. `onWait` is called once when there is somebody to wait for.
 * Rejects when `signal` is aborted or when the wait exceeds its bound.
 */
export async function withFolderLock(path, { signal, onWait = () => undefined }, work) {
  const deadline = performance.now() + WAIT_AT_MOST_MS
  let told = false
  while (!take(path)) {
    if (!told) onWait()
    told = true
    if (performance.now() > deadline) throw new Error(`Waited ${WAIT_AT_MOST_MS / 60_000} minutes for ${path}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    signal?.throwIfAborted()
  }
  try {
    return await work()
  } finally {
    // Moved away first: emptied in place, it would for a moment be a folder that a waiting process can replace.
    discard(path, `${path}.${process.pid}.released`)
  }
}

/** A folder with the holder's name in it is moved into place: it appears complete, and only where nothing is. */
function take(path) {
  const draft = `${path}.${process.pid}`
  mkdirSync(dirname(path), { recursive: true })
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft)
  writeFileSync(join(draft, 'holder.json'), JSON.stringify({ pid: process.pid, identity: identify(process.pid) }))
  if (tryRename(draft, path)) return true
  // Moved away, not deleted: of several who find the same abandoned lock, one succeeds.
  if (isAbandoned(path)) discard(path, `${draft}.abandoned`)
  if (tryRename(draft, path)) return true
  rmSync(draft, { recursive: true, force: true })
  return false
}

function isAbandoned(path) {
  const holder = readHolder(path)
  return holder !== null && identify(holder.pid) !== holder.identity
}

function discard(path, aside) {
  rmSync(aside, { recursive: true, force: true })
  if (tryRename(path, aside)) rmSync(aside, { recursive: true, force: true })
}

function tryRename(from, to) {
  try {
    renameSync(from, to)
    return true
  } catch {
    return false
  }
}

function readHolder(path) {
  try {
    return JSON.parse(readFileSync(join(path, 'holder.json'), 'utf8'))
  } catch {
    return null
  }
}
