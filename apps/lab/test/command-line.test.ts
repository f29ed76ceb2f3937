import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const program = resolve(import.meta.dirname, '../../../scripts/seatbelt.mjs')

describe('words that are not understood', () => {
  it.each([
    [[], 'No command was given'],
    [['dmeo'], 'There is no command "dmeo"'],
    [['toString'], 'There is no command "toString"'],
    [['demo', '--fast'], '--fast'],
    [['demo', '--orders'], '--orders'],
    [['demo', '--orders', 'many'], '--orders must be a whole number from'],
    [['demo', '--orders', '0'], '--orders must be a whole number from'],
    [['demo', '--orders', '1e9'], '--orders must be a whole number from'],
    [['demo', 'now'], 'now'],
    [['start', '--keep'], '--keep'],
    [['load', 'duplicate-payments', 'double-click'], 'One name at a time'],
    [['load', 'no-such-test'], 'There is no load test "no-such-test"'],
    [['load', '../package'], 'There is no load test "../package"'],
    [['review', 'one', 'two'], 'One id at a time'],
    [['review', '--fail'], 'name it'],
    [['review', 'one', '--fail', '--cancel'], 'use one of them'],
    [['review', 'one'], '--as NAME --reason TEXT'],
    [['review', 'one', '--fail', '--as', 'Ada'], '--as NAME --reason TEXT'],
    [['review', 'receipts', '--send-again', '--as', 'Ada', '--reason', ' '], '--as NAME --reason TEXT'],
    [['reconcile', '--act'], '--as NAME --reason TEXT'],
    [['review', 'one', '--cancel-without-refund', '--as', 'Ada'], '--reason TEXT'],
    [['review', '--cancel-without-refund', '--as', 'Ada', '--reason', 'ticket 7'], 'name it'],
    [['review', 'one', '--cancel', '--cancel-without-refund'], 'use one of them'],
    [['reconcile', 'now'], 'now'],
    [['clean', '--everything'], '--everything'],
  ])('%j: says which, shows what there is, and ends with exit code 2', (words, complaint) => {
    const { status, stdout, stderr } = run(words)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(complaint)
    expect(stderr).toMatch(/Usage: npm run|Load tests/)
  })
})

it('help goes to stdout and is no failure', () => {
  for (const words of [['--help'], ['help'], ['demo', '--help']]) {
    const { status, stdout, stderr } = run(words)
    expect([status, stderr]).toEqual([0, ''])
    for (const command of ['demo', 'start', 'load', 'reconcile', 'review', 'test', 'clean'])
      expect(stdout).toContain(`  ${command}`)
  }
})

it('load without a name lists the load tests, each with what it is about', () => {
  const { status, stdout } = run(['load'])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^ {2}duplicate-payments {2,}\S.*/m)
})

describe('a machine that cannot run it', () => {
  it.each([
    ['process.versions', 'node', '18.20.4', 'needs Node 20.19 or newer; this is 18.20.4'],
    ['process.versions', 'node', '20.18.3', 'needs Node 20.19 or newer; this is 20.18.3'],
    ['process', 'platform', 'win32', 'inside WSL'],
  ])('is told so: %s.%s = %s', (object, property, value, complaint) => {
    const pretence = `Object.defineProperty(${object}, '${property}', { value: '${value}' })`
    const { status, stderr } = run(['start'], ['--import', `data:text/javascript,${encodeURIComponent(pretence)}`])
    expect(status).toBe(2)
    expect(stderr).toContain(complaint)
  })
})

function run(words: readonly string[], nodeOptions: readonly string[] = []) {
  // Each of these must end before any set-up begins, so that a time-out is a failure of what is tested.
  return spawnSync(process.execPath, [...nodeOptions, program, ...words], { encoding: 'utf8', timeout: 20_000 })
}
