import { createDatabase } from '@seatbelt/database'
import { createReceiptSender, createRelay, processRuntime } from '@seatbelt/payments'

/** A relay of one message in a process of its own, so that it can be killed. */
const [databaseUrl = '', smtpUrl = ''] = process.argv.slice(2)

const database = createDatabase({ url: databaseUrl, poolSize: 1, applicationName: 'relay-process' })
const send = createReceiptSender({ smtpUrl, from: 'receipts@seatbelt.example', deadlineMs: 5_000 })
const times = { sendDeadlineMs: 5_000, leaseMs: 60_000 }
const relay = createRelay({
  database,
  runtime: processRuntime,
  channel: 'receipt',
  send,
  ...times,
  reportFault: () => undefined,
})
process.send?.(await relay())
await database.close()
process.disconnect?.()
