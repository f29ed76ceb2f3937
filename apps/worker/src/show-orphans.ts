import { Gauge, type Registry } from 'prom-client'

/** Shows how many orphans wait for a person. A count that cannot be read keeps its last value. */
export function showOrphans(registry: Registry, count: () => Promise<number>): void {
  new Gauge({
    name: 'orphans_open',
    help: 'Payments and refunds at the gateway that our books do not have. A person decides: npm run review -- orphans.',
    registers: [registry],
    async collect() {
      await count().then(
        (open) => this.set(open),
        () => undefined,
      )
    },
  })
}
