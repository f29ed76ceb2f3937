import http from 'k6/http'
import { environment } from './environment.ts'
import { type GatewayFault, type LoadName, loads } from './loads.ts'
import { faultsFired } from './metrics.ts'

const url = `${environment.gatewayUrl}/_control/faults`
const params = { headers: { 'Content-Type': 'application/json' }, timeout: '10s', tags: { name: 'faults' } }

/** The same dice in every run, so that two runs differ by what they do and not by their luck. */
const seed = 7

/** With so many expected, that a fault never hits happens once in some thousand runs. */
const hitsToBeSure = 8
/** More than that would be another load. */
const highestRate = 0.25

/**
 * Has the gateway misbehave as the load declares. For `setup`. `requests`: how many of a kind it will get, where that may be so few
 * that a fault would never hit; then it hits more often. @throws if it does not take the faults.
 */
export function breakGateway(load: LoadName, requests = Number.POSITIVE_INFINITY): void {
  const sure = Math.min(highestRate, hitsToBeSure / requests)
  set(loads[load].faults.map((fault: GatewayFault) => ({ ...fault, rate: Math.max(fault.rate, sure) })))
}

/** Counts how often each fault hit, and has the gateway behave. For `teardown`, before the verdict: what is broken never comes to rest. */
export function healGateway(): void {
  const response = http.get(url, params)
  if (response.status !== 200) throw new Error(`the gateway does not tell its faults: ${response.status}`)
  const { faults } = response.json() as unknown as { faults: readonly (GatewayFault & { fired: number })[] }
  for (const fault of faults) faultsFired.add(fault.fired, { fault: nameOf(fault) })
  set([])
}

/** A fault that never hit was never survived. */
export function faultThresholds(load: LoadName): Record<string, string[]> {
  const faults: readonly GatewayFault[] = loads[load].faults
  return Object.fromEntries(faults.map((fault) => [`faults_fired{fault:${nameOf(fault)}}`, ['count>0']]))
}

function nameOf({ on, kind }: GatewayFault): string {
  return `${on}_${kind}`
}

function set(faults: readonly GatewayFault[]): void {
  const response = http.post(url, JSON.stringify({ faults, seed }), params)
  if (response.status !== 200)
    throw new Error(`the gateway does not take the faults: ${response.status} ${response.body}`)
}
