import type { GatewayGateMetrics } from '@seatbelt/safety'
import { Counter, Gauge, type Registry } from 'prom-client'

const states = ['closed', 'half-open', 'open'] as const

/** The gate's metrics. Call it once per registry, which accepts each name only once. */
export function createGatewayGateMetrics(registry: Registry): GatewayGateMetrics {
  const registers = [registry]
  const circuit = new Gauge({
    name: 'gateway_circuit_state',
    help: '1 for the state in which the circuit to the payment gateway is, 0 for the others.',
    labelNames: ['state'],
    registers,
  })
  const inFlight = new Gauge({
    name: 'gateway_effects_in_flight',
    help: 'Operations that hold a place at the payment gateway.',
    labelNames: ['entrance'],
    registers,
  })
  const refused = new Counter({
    name: 'gateway_admissions_refused_total',
    help: 'Operations that were not begun: the circuit is open, or all places are taken.',
    labelNames: ['entrance', 'reason'],
    registers,
  })
  const skipped = new Counter({
    name: 'gateway_requests_skipped_total',
    help: 'Requests of claimed payments that were not sent, because the circuit had opened meanwhile.',
    registers,
  })
  return {
    circuit: (current) => {
      for (const state of states) circuit.set({ state }, state === current ? 1 : 0)
    },
    inFlight: (entrance, effects) => inFlight.set({ entrance: labels[entrance] }, effects),
    refused: (entrance, reason) => refused.inc({ entrance: labels[entrance], reason }),
    skipped: () => skipped.inc(),
  }
}

const labels = { forRequests: 'requests', forRecovery: 'recovery' } as const
