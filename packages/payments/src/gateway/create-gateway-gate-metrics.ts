import type { GatewayGateMetrics } from '@seatbelt/safety'
import { Counter, Gauge, type Registry } from 'prom-client'

/** The gate's metrics. Call it once per registry, which accepts each name only once. */
export function createGatewayGateMetrics(registry: Registry): GatewayGateMetrics {
  const registers = [registry]
  const stopped = new Gauge({
    name: 'gateway_stopped',
    help: 'Accounts whose new operations are stopped, by operation and cause. operation="everything": those of all. Absent: none.',
    labelNames: ['operation', 'cause'],
    registers,
  })
  const inFlight = new Gauge({
    name: 'gateway_effects_in_flight',
    help: 'Operations that hold a slot at the payment gateway.',
    labelNames: ['entrance'],
    registers,
  })
  const refused = new Counter({
    name: 'gateway_admissions_refused_total',
    help: 'Operations that were not begun: they are stopped or forbidden, or no slot was free for their account.',
    labelNames: ['entrance', 'reason'],
    registers,
  })
  const skipped = new Counter({
    name: 'gateway_requests_skipped_total',
    help: 'Requests of claimed payments that were not sent, because everything had stopped meanwhile.',
    registers,
  })
  const rejected = new Counter({
    name: 'gateway_requests_rejected_total',
    help: 'Requests of ours that the gateway found wrong, for a reason that no client can mend. Alarm on any.',
    labelNames: ['request'],
    registers,
  })
  return {
    stopped: (stops) => {
      stopped.reset()
      for (const { operation, cause } of stops) stopped.inc({ operation, cause })
    },
    inFlight: (entrance, effects) => inFlight.set({ entrance: labels[entrance] }, effects),
    refused: (entrance, reason) => refused.inc({ entrance: labels[entrance], reason }),
    skipped: () => skipped.inc(),
    rejected: (request) => rejected.inc({ request }),
  }
}

const labels = { forRequests: 'requests', forRecovery: 'recovery' } as const
