import type { Step } from '@seatbelt/explore'

/** Longer labels cross the lifelines of all servers. */
const maxLabelLength = 44

/** A message in few words: verb and table, command and key, method and path. */
export function labelOf({ server, text }: Pick<Step, 'server' | 'text'>): string {
  const label = labels[server](text)
  return label.length > maxLabelLength ? `${label.slice(0, maxLabelLength - 1)}…` : label
}

const labels: Readonly<Record<Step['server'], (text: string) => string>> = {
  postgres: sqlLabel,
  redis: redisLabel,
  gateway: (text) => text.replace('/v1/', '/').replace(/\?.*/, ''),
  clock: (text) => text,
}

const rowLock = /\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b(?: OF \w+)?/gi
const table = '(?:"?public"?\\.)?"?(\\w+)"?'
const writes = new RegExp(`\\b(INSERT INTO|UPDATE|DELETE FROM) ${table}`, 'gi')
const reads = new RegExp(`\\bFROM ${table}`, 'i')

function sqlLabel(text: string): string {
  if (text.includes('pg_advisory_xact_lock')) return 'advisory lock'
  const plain = text.replace(rowLock, '').replace(/\bDO UPDATE SET\b/gi, '')
  const tables = new Map<string, Set<string>>()
  for (const [, verb = '', name = ''] of plain.matchAll(writes)) {
    const short = verb.split(' ', 1).join('').toUpperCase()
    tables.set(short, (tables.get(short) ?? new Set()).add(name))
  }
  if (tables.size > 0) return [...tables].map(([verb, names]) => `${verb} ${[...names].join(', ')}`).join('; ')
  const read = reads.exec(plain)?.[1]
  const verb = /^\w+/.exec(text)?.[0].toUpperCase() ?? ''
  if (read === undefined) return verb
  return plain === text ? `SELECT ${read}` : `SELECT ${read} FOR UPDATE`
}

/** A script is named by its hash; its key says more. */
function redisLabel(text: string): string {
  const [command = '', ...words] = text.split(' ')
  const key = command === 'EVALSHA' ? words[2] : words[0]
  return [command, key].join(' ').trim()
}
