export type * from './contract.ts'
export { type Bounds, type Explored, type ExploreOptions, explore, replay } from './explore.ts'
export { Stuck } from './run-schedule.ts'
