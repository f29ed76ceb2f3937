import { minorDigits } from '@seatbelt/domain'
import MailComposer from 'nodemailer/lib/mail-composer'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Receipt } from './enqueue-messages.ts'
import type { Message } from './relay-message.ts'
import { SendFailure } from './send-failure.ts'

export interface ReceiptSenderOptions {
  /** `smtp://user:password@host:port`, or `smtps://` for TLS from the first byte. */
  readonly smtpUrl: string
  /** The sender's bare address. Its domain is that of the messages' ids. */
  readonly from: string
  /** From the look-up of the name to the server's word that it has the message. */
  readonly deadlineMs: number
}

/**
 * Makes what sends receipts by SMTP.
 *
 * Guarantees: resolves when the server said that it has the message, and otherwise fails with `SendFailure` within the deadline,
 * with the socket destroyed. The message has the same Message-ID, date and words with every try. Credentials are sent over TLS
 * alone.
 * Does not guarantee: that it arrived once: an answer that is lost after the server took the message has it sent again.
 * Source: RFC 5321, 4.5.3.2 and 6.1; RFC 5322, 3.6.4.
 *
 * A connection for each message. A shared one would save five round trips, and would let one that breaks fail the messages
 * behind it; receipts are few, nobody waits for them, and lanes bound how many connections there are.
 * By nodemailer's connection and not its transport: that one's time-outs are idle times, which a trickling server outlives, and
 * nobody else can end it.
 */
export function createReceiptSender(options: ReceiptSenderOptions): (message: Message) => Promise<void> {
  return async (message) => {
    if (message.recipient === null) throw new SendFailure('it has no recipient', { isPermanent: true })
    const envelope = { from: options.from, to: message.recipient }
    const mail = await compose(message, envelope)
    await deliver(options, (connection, done) => connection.send(envelope, mail, done))
  }
}

interface Envelope {
  readonly from: string
  readonly to: string
}

function compose({ id, topic, payload, createdAt }: Message, { from, to }: Envelope): Promise<Buffer> {
  const { subject, text } = receiptText(topic, payload as Receipt, createdAt)
  const messageId = `<${id}@${from.slice(from.lastIndexOf('@') + 1)}>`
  return new MailComposer({ from, to, subject, text, messageId, date: createdAt }).compile().build()
}

function receiptText(topic: string, receipt: Receipt, at: Date): { readonly subject: string; readonly text: string } {
  const amount = asPrice(receipt)
  const isRefund = topic === 'refund.succeeded'
  return {
    subject: isRefund ? `Your refund of ${amount}` : `Receipt for your payment of ${amount}`,
    text: [
      isRefund ? `We have given ${amount} back to you.` : `Thank you. We have received your payment of ${amount}.`,
      '',
      `Order: ${receipt.orderId}`,
      `Date: ${at.toISOString().slice(0, 10)}`,
      '',
    ].join('\n'),
  }
}

/** `19.99 EUR`, `1999 JPY`. */
function asPrice({ amountMinor, currency }: Receipt): string {
  const digits = minorDigits[currency]
  return `${(amountMinor / 10 ** digits).toFixed(digits)} ${currency}`
}

type Done = (error: SmtpError | null | undefined) => void

/** What the library tells of a failure. `responseCode` is the server's, where it was the server who refused. */
type SmtpError = Error & { readonly responseCode?: number | undefined; readonly command?: string | undefined }

function deliver(options: ReceiptSenderOptions, send: (connection: SMTPConnection, done: Done) => void): Promise<void> {
  const { deadlineMs } = options
  const { auth, ...target } = readSmtpUrl(options.smtpUrl)
  return new Promise((resolve, reject) => {
    const connection = new SMTPConnection({
      ...target,
      ...{
        connectionTimeout: deadlineMs,
        greetingTimeout: deadlineMs,
        dnsTimeout: deadlineMs,
        socketTimeout: deadlineMs,
      },
      // Closing destroys the socket instead of waiting for the server's goodbye.
      socketCloseTimeout: 0,
    })
    const fail = (failure: SendFailure) => {
      reject(failure)
      connection.close()
    }
    const timer = setTimeout(
      () => fail(new SendFailure('the mail server took too long', { isPermanent: false })),
      deadlineMs,
    )
    const orFail =
      (next: () => void): Done =>
      (error) =>
        error ? fail(asFailure(error)) : next()
    const goodbye = () => {
      resolve()
      connection.quit()
    }
    connection.on('error', (error) => fail(asFailure(error)))
    // Also after a goodbye that nobody answers: the timer is what ends it then.
    connection.once('end', () => {
      clearTimeout(timer)
      fail(new SendFailure('the mail server hung up', { isPermanent: false }))
    })
    connection.connect(
      orFail(() => {
        if (auth === null) send(connection, orFail(goodbye))
        else
          connection.login(
            auth,
            orFail(() => send(connection, orFail(goodbye))),
          )
      }),
    )
  })
}

function readSmtpUrl(smtpUrl: string) {
  const { protocol, hostname, port, username, password } = new URL(smtpUrl)
  const auth = username === '' ? null : { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
  const secure = protocol === 'smtps:'
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: auth !== null && !secure,
    auth,
  }
}

/**
 * Permanent is only the server's own "never" to this recipient or this message (5yz to RCPT or DATA). The same to a greeting, a
 * login or the sender's address is a mistake in our set-up: it would give up everybody's receipts until somebody mends it.
 */
function asFailure({ message, responseCode = 0, command }: SmtpError): SendFailure {
  const isAboutThisMail = command === 'RCPT TO' || command === 'DATA'
  return new SendFailure(message, { isPermanent: responseCode >= 500 && isAboutThisMail })
}
