/** Why a message was not delivered. The text is kept with the message and shown to its account, so it names no secret. */
export class SendFailure extends Error {
  readonly code = 'send-failure'
  /** Sending it again would not help: it is given up at once. */
  readonly isPermanent: boolean

  /** No cause: what the libraries throw may carry headers, addresses with tokens, or credentials. */
  constructor(message: string, { isPermanent }: { readonly isPermanent: boolean }) {
    super(message)
    this.name = 'SendFailure'
    this.isPermanent = isPermanent
  }
}
