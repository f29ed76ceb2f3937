// The k6 scripts in loadtests/, each with what its first comment says.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The path of a load test, or null where there is none of this name. */
export function findLoadTest(root, name) {
  const path = join(root, 'loadtests', `${name}.ts`)
  return /^[a-z0-9-]+$/.test(name) && existsSync(path) ? path : null
}

export function listLoadTests(root) {
  const names = loadTestNames(join(root, 'loadtests'))
  const width = Math.max(...names.map((name) => name.length)) + 2
  const lines = names.map((name) => `  ${name.padEnd(width)}${firstSentence(join(root, 'loadtests', `${name}.ts`))}`)
  return ['Load tests (npm run load -- NAME):', '', ...lines, ''].join('\n')
}

function loadTestNames(folder) {
  if (!existsSync(folder)) return []
  const scripts = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  return scripts.map((name) => name.slice(0, -3)).sort()
}

/** What the comment that opens the file says before its first stop or colon. */
function firstSentence(path) {
  const comment = /^\/\*\*(.*?)\*\//s.exec(readFileSync(path, 'utf8'))?.[1] ?? ''
  const text = comment
    .replace(/\n\s*\*/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return text.split(/[.:;](?=\s|$)/)[0]
}
