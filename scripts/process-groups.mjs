// Processes that this project starts, and how they are found again and ended. Plain JavaScript without dependencies,
// because the bootstrap needs it before anything is installed; apps/lab uses the same file.
//
// Each child leads a process group of its own. So a Ctrl-C at the terminal reaches only the process that supervises
// (which then stops its children in the right order), and one signal to a group ends a tool together with whatever it started.

import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import process from 'node:process'

/** How long a group may take to end after a polite signal before it is killed: a build tool first ends what it runs itself. */
const TOOL_GRACE_MS = 10_000

/** How often an ending process is looked at. Nothing tells when a process that is not our child is gone. */
const LOOK_AGAIN_MS = 20

const liveGroups = new Set()
const endingGroups = new Set()

/**
 * Starts a program as the leader of its own process group.
 *
 * Guarantees: if this process exits, for whatever reason that still runs its exit hooks, the group is killed; where `setpriv` is
 * to be had (Linux), also when this process is killed by SIGKILL, except with `bindToParent: false`.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { bindToParent?: boolean, deathSignal?: string }} options
 */
export function spawnGroup(command, args, { bindToParent = true, deathSignal = 'KILL', ...options } = {}) {
  const bound = bindToParent && canBindToParent()
  const child = bound
    ? spawn('setpriv', ['--pdeathsig', deathSignal, '--', command, ...args], { ...options, detached: true })
    : spawn(command, args, { ...options, detached: true })
  if (child.pid !== undefined) {
    installExitHook()
    const pid = child.pid
    liveGroups.add(pid)
    child.once('exit', () => {
      liveGroups.delete(pid)
      // What a tool left running in its group ends with it, unless somebody is just ending the group with more patience.
      if (!endingGroups.has(pid)) signalGroup(pid, 'SIGKILL')
    })
  }
  return child
}

/** Sends a signal to a whole group. False: there is no such group (any more). */
export function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/**
 * Ends a group: the signal, then, once the grace period is over, SIGKILL. Resolves when no process of it is left.
 * `identity`, where given, is who led the group: if its number belongs to somebody else meanwhile, nothing is done.
 *
 * Its leader may be the first to go (`npx` does not wait for what it runs), so that it is the group that is waited for. While any of
 * its processes lives, the kernel does not give its number to anybody else.
 */
export async function endGroup(pid, { signal = 'SIGTERM', graceMs = TOOL_GRACE_MS, identity = identify(pid) } = {}) {
  if (identity === null || identify(pid) !== identity) return
  endingGroups.add(pid)
  try {
    signalGroup(pid, signal)
    if (await isGroupGone(pid, graceMs)) return
    signalGroup(pid, 'SIGKILL')
    // The kernel ends a killed process unless it hangs in a device; waiting longer would not help then.
    await isGroupGone(pid, 5_000)
  } finally {
    endingGroups.delete(pid)
  }
}

async function isGroupGone(pid, withinMs) {
  const deadline = performance.now() + withinMs
  while (groupHasLife(pid)) {
    if (performance.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
  return true
}

/** Signal 0 is only a question. It counts corpses too, which in a container may lie there for ever. */
function groupHasLife(pid) {
  if (!signalGroup(pid, 0)) return false
  return process.platform !== 'linux' || identify(pid) !== null || hasLivingMember(pid)
}

function hasLivingMember(group) {
  const isMember = (name) => {
    const [state, , memberOf] = readStat(name) ?? []
    return Number(memberOf) === group && state !== 'Z' && state !== 'X'
  }
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && isMember(name))
}

/** Waits until a process is gone; false when it was still there after `withinMs`. */
export async function isGone(pid, identity, withinMs) {
  const deadline = performance.now() + withinMs
  while (identify(pid) === identity) {
    if (performance.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
  return true
}

/** Ends every group that this process started and that is still alive. */
export async function endAllGroups() {
  await Promise.all([...liveGroups].map((pid) => endGroup(pid)))
}

/**
 * Who a process number belongs to right now: a number is given to a stranger once its owner has died, a number together with the
 * moment when it started is not. Null: nobody, or only a corpse that its parent has not looked at yet.
 */
export function identify(pid) {
  return process.platform === 'linux' ? identifyByProc(pid) : identifyByPs(pid)
}

function identifyByProc(pid) {
  const fields = readStat(pid)
  if (fields === null || fields[0] === 'Z' || fields[0] === 'X') return null
  return `${machineIdentity()} ${fields[19]}`
}

/** The fields of /proc/PID/stat from the state on; null: there is no such process. */
function readStat(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may itself hold blanks and parentheses; the fields after the last one cannot.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

let cachedMachineIdentity

/** Ticks count from the boot, and a container counts its own process numbers: both belong to the identity. */
function machineIdentity() {
  cachedMachineIdentity ??= [
    readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    readlinkSync('/proc/self/ns/pid'),
  ].join(' ')
  return cachedMachineIdentity
}

function identifyByPs(pid) {
  const { status, stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
  })
  const line = status === 0 ? stdout.trim() : ''
  if (line === '' || line.startsWith('Z')) return null
  return line.slice(line.search(/\s/)).trim()
}

let cachedCanBind

/** Whether a child can be made to end with its parent (util-linux 2.33 or later; BusyBox has a `setpriv` without it). */
function canBindToParent() {
  cachedCanBind ??=
    process.platform === 'linux' && spawnSync('setpriv', ['--pdeathsig', 'KILL', '--', 'true']).status === 0
  return cachedCanBind
}

let exitHookInstalled = false

/** The last resort, for a crash of this process: an exit hook cannot wait, so there is no grace. */
function installExitHook() {
  if (exitHookInstalled) return
  exitHookInstalled = true
  process.on('exit', () => {
    for (const pid of liveGroups) signalGroup(pid, 'SIGKILL')
  })
}
