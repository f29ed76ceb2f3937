import { createTransport } from 'nodemailer'

/** A page for people is not worth a queue: what cannot be forwarded soon is not forwarded. */
const patienceMs = 2_000
const maxUnderWay = 20

/**
 * Hands copies on to a mail server with a page for people. The sink's own record is what counts, so a failure is told once, and
 * nothing waits for it.
 */
export function createMailForwarder(target: string, onFailure: (fault: unknown) => void) {
  const [host = '', port = ''] = target.split(':')
  const times = { connectionTimeout: patienceMs, greetingTimeout: patienceMs, socketTimeout: patienceMs }
  const transport = createTransport({ host, port: Number(port), ignoreTLS: true, ...times })
  let underWay = 0
  let hasFailed = false
  return ({ from, to, raw }: { readonly from: string; readonly to: readonly string[]; readonly raw: Buffer }): void => {
    if (underWay >= maxUnderWay) return
    underWay += 1
    transport
      .sendMail({ envelope: { from, to: [...to] }, raw })
      .catch((fault: unknown) => {
        if (!hasFailed) onFailure(fault)
        hasFailed = true
      })
      .finally(() => {
        underWay -= 1
      })
  }
}
