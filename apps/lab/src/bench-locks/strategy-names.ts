/** What a reader calls each strategy, and its colour in the charts; what belongs together has the same hue, the package beside it a lighter one. */
const strategies: Readonly<Record<string, { readonly title: string; readonly color: string }>> = {
  'redis-lock': { title: 'redis-lock', color: '#cf222e' },
  'bare-set-eval': { title: 'bare SET NX + EVAL', color: '#e59a95' },
  'redlock-hardened': { title: 'redlock, hardened', color: '#0969da' },
  redlock: { title: 'npm redlock', color: '#79b8ff' },
  'sesamecare-redlock': { title: '@sesamecare-oss/redlock', color: '#8a7fd6' },
  'advisory-transaction': { title: 'advisory, transaction', color: '#1a7f37' },
  'advisory-transaction-and-write': { title: 'transaction lock, and the write', color: '#7cc98f' },
  'advisory-session': { title: 'advisory, session', color: '#7d6b00' },
  optimistic: { title: 'optimistic', color: '#e36209' },
}

export function describeStrategy(name: string): string {
  return strategies[name]?.title ?? name
}

export function colorOf(name: string): string {
  return strategies[name]?.color ?? '#888888'
}
