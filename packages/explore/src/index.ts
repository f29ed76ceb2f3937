export type * from './contract.ts'
export { Stuck } from './control.ts'
export { type Bounds, type Explored, type ExploreOptions, explore, type RandomPart, replay } from './explore.ts'
