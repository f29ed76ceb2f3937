import { findCurrentStack } from './current-stack.ts'
import { operations } from './description.ts'
import { fillIn } from './start-stack.ts'

/**
 * What an operator's command is to read: nothing more than what is set (GATEWAY_URL tells that something is), else the
 * addresses of the stack that `npm start` keeps. Null: there is neither.
 */
export function environmentOfOperator(root: string): Record<string, string> | null {
  return process.env.GATEWAY_URL === undefined ? ofCurrentStack(root) : {}
}

function ofCurrentStack(root: string): Record<string, string> | null {
  const current = findCurrentStack(root)
  if (current === null) return null
  const addresses = new Map([
    ['database', current.databaseUrl],
    ['redis', current.redisUrls.join(',')],
    ['gateway', current.gatewayUrl],
  ])
  return Object.fromEntries(Object.entries(operations).map(([name, value]) => [name, fillIn(value, addresses)]))
}
