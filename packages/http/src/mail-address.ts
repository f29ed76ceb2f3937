import { domainToASCII } from 'node:url'

/** RFC 5322's atext, and with SMTPUTF8 (RFC 6531) what lies beyond ASCII, but for spaces and control characters. */
const atom = /(?:[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]|[^\p{ASCII}\p{C}\p{Z}])+/u.source
const dotAtom = new RegExp(`^${atom}(?:\\.${atom})*$`, 'u')
/** What `domainToASCII` would read otherwise than a mail server: `%6d`, a port, a path. */
const domainCharacters = /^(?:[A-Za-z0-9.-]|[^\p{ASCII}\p{C}\p{Z}])+$/u
const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/
/** RFC 5321, 4.5.3.1, in octets: of the local part, and of the whole path without its brackets. */
const mostOctets = { localPart: 64, address: 254 }

/**
 * Whether mail servers take this address, internationalized ones included.
 *
 * Not taken, although RFC 5321 has them: local parts in quotes, domain literals, and domains of one label. A shop's
 * customers have none of them, and each is an attacker's way to a mail server inside the network.
 */
export function isMailAddress(text: string): boolean {
  const at = text.lastIndexOf('@')
  const [localPart, domain] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)]
  if (!dotAtom.test(localPart) || !domainCharacters.test(domain)) return false
  const ascii = domainToASCII(domain)
  const labels = ascii.split('.')
  const octets = Buffer.byteLength(localPart)
  return (
    octets <= mostOctets.localPart &&
    octets + 1 + ascii.length <= mostOctets.address &&
    labels.length > 1 &&
    labels.every((one) => label.test(one)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  )
}
