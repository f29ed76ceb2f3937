// The words that `npm run ...` understands. They are read before any set-up: a typing error must not cost a minute.

import { parseArgs } from 'node:util'

const wholeNumber = (least, most) => ({ type: 'string', least, most })

const COMMANDS = {
  demo: {
    usage: 'demo [--keep] [--orders N]',
    explains: 'starts everything, loads it, breaks it, audits it, prints the verdict',
    // Fewer orders would leave too few lost answers to say anything; more are only patience.
    options: { keep: { type: 'boolean' }, orders: wholeNumber(100, 100_000) },
  },
  start: { usage: 'start', explains: 'runs the stack for use by hand, until Ctrl-C', options: {} },
  load: {
    usage: 'load [NAME] [--orders N] [--copies N] [--concurrency N]',
    explains: 'runs a load test against the running stack; without NAME: lists them',
    options: {
      orders: wholeNumber(1, 100_000),
      copies: wholeNumber(2, 100),
      concurrency: wholeNumber(1, 64),
    },
    operand: 'name',
  },
  test: { usage: 'test', explains: 'runs everything that must hold', options: {} },
  'bench:locks': {
    usage: 'bench:locks [--quick] [--document]',
    explains: 'measures the locks beside each other; --document: writes the figures into docs/choosing-a-lock.md',
    options: { quick: { type: 'boolean' }, document: { type: 'boolean' } },
  },
  clean: {
    usage: 'clean [--cache]',
    explains: 'stops what this checkout runs and removes its state; --cache: also the downloaded or built k6 and Redis',
    options: { cache: { type: 'boolean' } },
  },
}

export const usage = [
  'Usage: npm run COMMAND [-- OPTIONS]',
  '',
  ...Object.values(COMMANDS).map(({ usage, explains }) => `  ${usage.padEnd(56)}${explains}`),
  '',
].join('\n')

/** What was asked for: `{ kind: 'command', command, options }`, `{ kind: 'help' }`, or `{ kind: 'mistake', reason }`. */
export function readCommandLine(argv) {
  const [word, ...rest] = argv
  if (word === undefined) return mistake('No command was given.')
  if (word === 'help' || argv.includes('--help') || argv.includes('-h')) return { kind: 'help' }
  if (!Object.hasOwn(COMMANDS, word)) return mistake(`There is no command "${word}".`)
  return readOptions(word, rest)
}

function readOptions(command, args) {
  const { options, operand } = COMMANDS[command]
  const types = Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, { type }]))
  try {
    const { values, positionals } = parseArgs({ args, options: types, allowPositionals: operand !== undefined })
    if (positionals.length > 1) return mistake(`One ${operand} at a time, please: ${positionals.join(', ')}.`)
    const read = Object.entries(values).map(([name, value]) => [name, readValue(name, value, options[name])])
    const given = positionals.length === 1 ? { [operand]: positionals[0] } : {}
    return { kind: 'command', command, options: { ...Object.fromEntries(read), ...given } }
  } catch (error) {
    return mistake(error.message)
  }
}

function readValue(name, value, { type, least, most }) {
  if (type === 'boolean') return value
  const number = Number(value)
  if (!Number.isInteger(number) || number < least || number > most) {
    throw new Error(`--${name} must be a whole number from ${least} to ${most}, not "${value}".`)
  }
  return number
}

function mistake(reason) {
  return { kind: 'mistake', reason }
}
