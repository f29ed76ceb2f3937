// The words that `npm run ...` understands. They are read before any set-up: a typing error must not cost a minute.

import { parseArgs } from 'node:util'

const wholeNumber = (least, most) => ({ type: 'string', least, most })

const oneOf = (...choices) => ({ type: 'string', choices })

/** Of commands that act: the person, and why. The program records both. */
const operator = { as: { type: 'string' }, reason: { type: 'string' } }

const COMMANDS = {
  demo: {
    usage: 'demo [--keep] [--orders N]',
    explains: 'starts everything, loads it, breaks it, audits it, prints the verdict',
    // Fewer orders would leave too few lost answers to say anything; more are only patience.
    options: { keep: { type: 'boolean' }, orders: wholeNumber(100, 100_000) },
  },
  start: { usage: 'start', explains: 'runs the stack for use by hand, until Ctrl-C', options: {} },
  load: {
    usage: 'load [NAME] [--control] [--orders N] [--copies N] [--concurrency N] [--seats N]',
    explains: 'runs a load test; without NAME: lists them; --control: against its unsafe twin, which must fail',
    options: {
      control: { type: 'boolean' },
      orders: wholeNumber(1, 100_000),
      copies: wholeNumber(2, 500),
      concurrency: wholeNumber(1, 64),
      // Of the hall that is sold; it has half as many standing places.
      seats: wholeNumber(100, 100_000),
    },
    operand: 'name',
  },
  review: {
    usage:
      'review [ID [--fail | --cancel | --cancel-without-refund | --enter-refund re_... | --refunded-outside [--amount MINOR]]] | receipts [ID] [--send-again | --dismiss] | orphans [--order ID | ID --adopt | --refund | --dismiss]',
    explains:
      'lists what waits for a person; with ID: looks at it now; --fail (a refund), --cancel (a payment): ends what the gateway does not have; --cancel-without-refund (a booking): frees its seats, asks nothing of the gateway; --enter-refund (a payment): records a refund of the gateway that was taken for a release; --refunded-outside (a payment): records money that was returned without the gateway; receipts: that were given up; orphans: money at the gateway that our books do not know; what acts needs --as NAME --reason TEXT',
    options: {
      fail: { type: 'boolean' },
      cancel: { type: 'boolean' },
      'cancel-without-refund': { type: 'boolean' },
      'refunded-outside': { type: 'boolean' },
      amount: wholeNumber(1, 99_999_999),
      'send-again': { type: 'boolean' },
      dismiss: { type: 'boolean' },
      adopt: { type: 'boolean' },
      refund: { type: 'boolean' },
      'gateway-id': { type: 'string' },
      'enter-refund': { type: 'string' },
      order: { type: 'string' },
      ...operator,
    },
    topics: ['receipts', 'orphans'],
    operand: 'id',
    acts: ({ values, operands }) => operands.length > 0 || values['send-again'] || values.dismiss,
  },
  reconcile: {
    usage: 'reconcile [--act --as NAME --reason TEXT] [--from TIME] [--to TIME] [--json]',
    explains: "holds the gateway's lists against our books, and reports; --act: puts right what a program may",
    acts: ({ values }) => values.act,
    options: {
      ...operator,
      act: { type: 'boolean' },
      from: { type: 'string' },
      to: { type: 'string' },
      json: { type: 'boolean' },
    },
  },
  test: { usage: 'test', explains: 'runs everything that must hold', options: {} },
  explore: {
    usage: 'explore [--quick]',
    explains: 'runs the operations in every order of their messages, with layers on and off, and judges the claims',
    options: { quick: { type: 'boolean' } },
  },
  conformance: {
    usage: 'conformance',
    explains: "holds our requests and the simulator's answers against stripe-mock and Stripe's own description",
    options: {},
  },
  bench: {
    usage: 'bench [--quick] [--only NAME]',
    explains: 'measures Seatbelt beside a floor, a control and peers, and judges the goals; --only: one of them alone',
    options: {
      quick: { type: 'boolean' },
      only: oneOf('floor', 'tutorial', 'dbos', 'control', 'seatbelt', 'seatbelt-3', 'seatbelt-webhooks'),
    },
  },
  'bench:holds': {
    usage: 'bench:holds [--quick]',
    explains: 'measures what a hold costs as the event grows from 1,000 seats to 100,000',
    options: { quick: { type: 'boolean' } },
  },
  'bench:locks': {
    usage: 'bench:locks [--quick] [--document]',
    explains: 'measures the locks beside each other; --document: writes the figures into docs/choosing-a-lock.md',
    options: { quick: { type: 'boolean' }, document: { type: 'boolean' } },
  },
  clean: {
    usage: 'clean [--cache]',
    explains:
      'stops what this checkout runs and removes its state; --cache: also the downloaded or built k6, Redis and stripe-mock',
    options: { cache: { type: 'boolean' } },
  },
}

export const usage = [
  'Usage: npm run COMMAND [-- OPTIONS]',
  '',
  ...Object.values(COMMANDS).flatMap(({ usage, explains }) => [...wrap(usage, '  '), ...wrap(explains, '      ')]),
  '',
].join('\n')

/** In lines of at most 100 characters, all of them indented. */
function wrap(text, indent) {
  const lines = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && `${last} ${word}`.length <= 100) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(`${indent}${word}`)
  }
  return lines
}

/** What was asked for: `{ kind: 'command', command, options }`, `{ kind: 'help' }`, or `{ kind: 'mistake', reason }`. */
export function readCommandLine(argv) {
  const [word, ...rest] = argv
  if (word === undefined) return mistake('No command was given.')
  if (word === 'help' || argv.includes('--help') || argv.includes('-h')) return { kind: 'help' }
  if (!Object.hasOwn(COMMANDS, word)) return mistake(`There is no command "${word}".`)
  return readOptions(word, rest)
}

function readOptions(command, args) {
  const { options, operand, topics = [], acts = () => false } = COMMANDS[command]
  const types = Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, { type }]))
  try {
    const { values, positionals } = parseArgs({ args, options: types, allowPositionals: operand !== undefined })
    const topic = topics.find((known) => known === positionals[0])
    const operands = topic === undefined ? positionals : positionals.slice(1)
    if (operands.length > 1) return mistake(`One ${operand} at a time, please: ${operands.join(', ')}.`)
    const read = Object.entries(values).map(([name, value]) => [name, readValue(name, value, options[name])])
    const ends = ['fail', 'cancel', 'cancel-without-refund', 'refunded-outside'].filter((name) => values[name])
    if (ends.length > 1 || (ends.length === 1 && operands.length === 0))
      return mistake(
        '--fail, --cancel, --cancel-without-refund and --refunded-outside end one refund, payment or booking: name it, and use one of them.',
      )
    if (acts({ values, operands }) && !(values.as?.trim() && values.reason?.trim()))
      return mistake('Say who acts, and why: --as NAME --reason TEXT. Both are recorded.')
    const given = { ...(topic && { topic }), ...(operands.length === 1 && { [operand]: operands[0] }) }
    return { kind: 'command', command, options: { ...Object.fromEntries(read), ...given } }
  } catch (error) {
    return mistake(error.message)
  }
}

function readValue(name, value, { type, least, most, choices }) {
  if (choices !== undefined && !choices.includes(value)) {
    throw new Error(`--${name} must be one of ${choices.join(', ')}, not "${value}".`)
  }
  if (type === 'boolean' || least === undefined) return value
  const number = Number(value)
  if (!Number.isInteger(number) || number < least || number > most) {
    throw new Error(`--${name} must be a whole number from ${least} to ${most}, not "${value}".`)
  }
  return number
}

function mistake(reason) {
  return { kind: 'mistake', reason }
}
