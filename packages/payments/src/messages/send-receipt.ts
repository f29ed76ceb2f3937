import { domainToASCII } from 'node:url'
import { formatMoney } from '@seatbelt/domain'
import MailComposer from 'nodemailer/lib/mail-composer'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Receipt, ReceiptTopic } from './enqueue-messages.ts'
import type { Message } from './relay-message.ts'
import { SendFailure } from './send-failure.ts'

export interface ReceiptSenderOptions {
  /** `smtp://user:password@host:port`, or `smtps://` for TLS from the first byte. */
  readonly smtpUrl: string
  /** The sender's bare address. Its domain is the domain of the messages' ids. */
  readonly from: string
  /** From the look-up of the name to the server's confirmation that it has the message. */
  readonly deadlineMs: number
}

/**
 * Makes the function that sends receipts by SMTP.
 *
 * Guarantees: it resolves when the server has confirmed the message, and otherwise fails with `SendFailure` within the
 * deadline, with the socket destroyed. Every try has the same Message-ID, date and text. Credentials are sent over TLS
 * only.
 * Does not guarantee: that the message arrives once. If the server's confirmation is lost, the message is sent again.
 * Source: RFC 5321, 4.5.3.2 and 6.1; RFC 5322, 3.6.4.
 *
 * Each message has its own connection. A shared connection would save five round trips, and if it broke, the messages
 * behind would fail as well. Receipts are few, no request waits for them, and lanes bound the number of connections. It
 * uses nodemailer's connection, not its transport: the time-outs of the transport are idle times, which a server that
 * trickles outlives, and its caller cannot end it.
 */
export function createReceiptSender(options: ReceiptSenderOptions): (message: Message) => Promise<void> {
  return async (message) => {
    if (message.recipient === null) throw new SendFailure('it has no recipient', { isPermanent: true })
    const envelope = { from: options.from, to: asMailbox(message.recipient) }
    const mail = await compose(message, envelope)
    await deliver(options, (connection, done) => connection.send(envelope, mail, done))
  }
}

/**
 * The address as SMTP takes it: the domain in ASCII. A local part beyond ASCII needs a server with SMTPUTF8, which
 * takes both parts as they are (RFC 6531).
 */
function asMailbox(address: string): string {
  const at = address.lastIndexOf('@')
  const domain = domainToASCII(address.slice(at + 1))
  return domain === '' || /[^\x20-\x7e]/.test(address.slice(0, at)) ? address : address.slice(0, at + 1) + domain
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
  const { subject, sentence } = words[topic as ReceiptTopic] ?? words['payment.succeeded']
  const amount = formatMoney(receipt)
  return {
    subject: subject(amount),
    text: [sentence(amount), '', `Order: ${receipt.orderId}`, `Date: ${asMoment(at)}`, ''].join('\n'),
  }
}

const failedRefund = {
  subject: (amount: string) => `Your refund of ${amount} failed`,
  sentence: (amount: string) =>
    `Your refund of ${amount} did not reach you. Ask the seller to return the money in another way.`,
}

const words: Readonly<Record<ReceiptTopic, { readonly [part in 'subject' | 'sentence']: (amount: string) => string }>> =
  {
    'payment.succeeded': {
      subject: (amount) => `Receipt for your payment of ${amount}`,
      sentence: (amount) => `Thank you. We have received your payment of ${amount}.`,
    },
    'refund.succeeded': {
      subject: (amount) => `Your refund of ${amount}`,
      sentence: (amount) => `We have given ${amount} back to you.`,
    },
    'refund.failed': failedRefund,
    'refund.reversed': failedRefund,
  }

/** `2026-11-20 23:30 UTC`: without the zone, a reader in another one takes it for his own. */
function asMoment(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

type Done = (error: SmtpError | null | undefined) => void

/** The library's error. It has a `responseCode` if the server refused. */
type SmtpError = Error & { readonly responseCode?: number | undefined; readonly command?: string | undefined }

function deliver(options: ReceiptSenderOptions, send: (connection: SMTPConnection, done: Done) => void): Promise<void> {
  const { deadlineMs } = options
  const { auth, ...target } = readSmtpUrl(options.smtpUrl)
  return new Promise((resolve, reject) => {
    const connection = new SMTPConnection({
      ...target,
      connectionTimeout: deadlineMs,
      greetingTimeout: deadlineMs,
      dnsTimeout: deadlineMs,
      socketTimeout: deadlineMs,
      // Closing destroys the socket instead of waiting for the server's goodbye.
      socketCloseTimeout: 0,
    })
    const fail = (failure: SendFailure) => {
      reject(failure)
      connection.close()
    }
    const timeOut = () => fail(new SendFailure('the mail server took too long', { isPermanent: false }))
    const timer = setTimeout(timeOut, deadlineMs)
    const orFail =
      (next: () => void): Done =>
      (error) =>
        error ? fail(asFailure(error)) : next()
    const goodbye = () => {
      resolve()
      connection.quit()
    }
    connection.on('error', (error) => fail(asFailure(error)))
    // Also after a goodbye without an answer: then the timer ends it.
    connection.once('end', () => {
      clearTimeout(timer)
      fail(new SendFailure('the mail server hung up', { isPermanent: false }))
    })
    const sendMail = () => send(connection, orFail(goodbye))
    connection.connect(orFail(() => (auth === null ? sendMail() : connection.login(auth, orFail(sendMail)))))
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
 * Permanent is only a refusal of this recipient or this message (5yz to RCPT or DATA). A refused greeting, login or
 * sender's address is a mistake in our configuration: as permanent, it would end all receipts until a person corrects
 * it.
 */
function asFailure({ message, responseCode = 0, command }: SmtpError): SendFailure {
  const isAboutThisMail = command === 'RCPT TO' || command === 'DATA'
  return new SendFailure(message, { isPermanent: responseCode >= 500 && isAboutThisMail })
}
