import type { CommandResult, listDeadReceipts } from '@seatbelt/payments'
import { operatorUsage } from '../operator-arguments.ts'

/** What `review receipts` prints. */
export function describeReceipts({ receipts, inAll }: Awaited<ReturnType<typeof listDeadReceipts>>): string {
  if (inAll === 0) return 'No receipt was given up.\n'
  const shown = receipts.length < inAll ? `, of which the oldest ${receipts.length} are` : ''
  const blocks = receipts.map(({ id, accountId, topic, recipient, createdAt, deadAt, attempts, lastError }) =>
    [
      `receipt ${id}`,
      `  to         ${recipient}, about ${topic}, account ${accountId}`,
      `  given up   ${deadAt.toISOString()}, after ${attempts} tries since ${createdAt.toISOString()}`,
      `  because    ${lastError ?? 'no reason is known'}`,
    ].join('\n'),
  )
  const commands = ['[ID] --send-again', 'ID --dismiss']
    .map((words) => `npm run review -- receipts ${words} ${operatorUsage}`)
    .join(', or ')
  return `${[`${countOfReceipts(inAll)} given up${shown}:`, ...blocks, `To do: ${commands}`].join('\n\n')}\n`
}

/** The result of `--send-again`. */
export function describeSentAgain(id: string | null, sent: number): CommandResult {
  if (sent > 0) return { text: `Done: ${countOfReceipts(sent)} made due again.\n`, exitCode: 0 }
  if (id === null) return { text: 'Nothing was done: no receipt was given up.\n', exitCode: 1 }
  return { text: `Nothing was done: no receipt ${id} was given up.\n`, exitCode: 2 }
}

/** The result of `--dismiss`. */
export function describeDismissed(id: string, isDismissed: boolean): CommandResult {
  if (isDismissed) return { text: `Done: receipt ${id} is deleted, and is not sent.\n`, exitCode: 0 }
  return { text: `Nothing was done: no receipt ${id} was given up.\n`, exitCode: 2 }
}

export function countOfReceipts(number: number): string {
  return number === 1 ? '1 receipt was' : `${number} receipts were`
}
