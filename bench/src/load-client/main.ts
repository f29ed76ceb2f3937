import process from 'node:process'
import type { Slice, SliceAnswer } from '../load/slice.ts'
import { createLoadGenerator } from './load-generator.ts'

// The load runs in a process of its own, so that its CPU time is not the API's. It ends with the process that forked
// it.

const generator = createLoadGenerator()

process.on('message', (slice: Slice) => {
  void generator.run(slice).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ failure: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))

function answer(message: SliceAnswer): void {
  process.send?.(message)
}
