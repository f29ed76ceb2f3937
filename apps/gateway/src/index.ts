export { createApp } from './create-app.ts'
export type { FaultRule } from './faults.ts'
export { createSimulator, developmentApiKey, type SimulatorOptions } from './simulator.ts'
export { type RunningGateway, start } from './start.ts'
