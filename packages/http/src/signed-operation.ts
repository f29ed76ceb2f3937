import type { z } from 'zod'
import type { Operation } from './operation.ts'
import type { ProblemCode } from './problem.ts'

/**
 * A path that no account calls: a signature over the body says who does. It has no ladder in common with the operations, so
 * that only its description is shared; whoever has it mounts it.
 */
export interface SignedOperation extends Pick<Operation, 'path' | 'operationId' | 'tag' | 'summary' | 'answers'> {
  readonly description: string
  readonly signatureHeader: string
  readonly bodySchema: z.ZodType
  /** All of them. */
  readonly problems: readonly ProblemCode[]
}
