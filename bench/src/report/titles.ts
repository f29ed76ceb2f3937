import type { OperationName } from '../plan.ts'
import { systems } from '../systems/systems.ts'
import type { Subject } from './bench-report.ts'

export const operationTitles: Readonly<Record<OperationName, string>> = {
  payment: 'First payment',
  replay: 'Replay of a recorded answer',
  hold: 'Hold of two chosen seats',
  checkout: 'Checkout of a hold',
  'create-intent': 'Gateway alone: create an intent',
  'confirm-intent': 'Gateway alone: confirm an intent',
}

export function titleOf(system: Subject): string {
  return system === 'gateway' ? 'Gateway alone' : systems[system].title
}
