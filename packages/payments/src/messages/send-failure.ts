/**
 * Why a message was not delivered. Its account sees the text, which is stored with the message, so it names no secret.
 */
export class SendFailure extends Error {
  readonly code = 'send-failure'
  /** A retry would not help, so the message is given up at once. */
  readonly isPermanent: boolean

  /** It has no cause, because errors of libraries may carry headers, addresses with tokens, or credentials. */
  constructor(message: string, { isPermanent }: { readonly isPermanent: boolean }) {
    super(message)
    this.name = 'SendFailure'
    this.isPermanent = isPermanent
  }
}
