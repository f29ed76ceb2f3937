import ipaddr from 'ipaddr.js'

/** `loopback`: also addresses of this machine, and without TLS. For development. */
export type WebhookTargets = 'public' | 'loopback'

/** All public IPv6 addresses lie in this block. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Why no webhook may go to this URL, or null. An account chooses the URL, and our worker runs inside our network,
 * beside metadata services, databases and other servers that trust their neighbors.
 *
 * A name is judged by `addressProblem` when it is resolved, because it may resolve to another address then.
 */
export function webhookUrlProblem(text: string, targets: WebhookTargets): string | null {
  if (!URL.canParse(text)) return 'must be a URL'
  const { protocol, hostname, username, password } = new URL(text)
  if (username !== '' || password !== '') return 'must not carry credentials'
  const address = literalAddress(hostname)
  const isLocal = hostname === 'localhost' || (address !== null && rangeOf(address) === 'loopback')
  if (isLocal && targets === 'loopback') return protocol === 'https:' || protocol === 'http:' ? null : 'must be https'
  if (protocol !== 'https:') return 'must be https'
  if (isLocal) return 'must be reachable from the internet'
  return address === null ? null : addressProblem(address, targets)
}

/** Why nothing may be sent to this IP address, or null. */
export function addressProblem(address: string, targets: WebhookTargets): string | null {
  const range = rangeOf(address)
  if (range === 'unicast' || (range === 'loopback' && targets === 'loopback')) return null
  return 'must be reachable from the internet'
}

/** The address in a URL's host, or null for a name. The URL parser has normalized its spelling. */
export function literalAddress(hostname: string): string | null {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  return ipaddr.isValid(bare) ? bare : null
}

/** The kind of an address. An IPv4 address in IPv6 notation counts as IPv4. Only `unicast` is public. */
function rangeOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unreadable'
  const parsed = ipaddr.process(address)
  const range = parsed.range()
  return range === 'unicast' && parsed instanceof ipaddr.IPv6 && !parsed.match(globalUnicast) ? 'reserved' : range
}
