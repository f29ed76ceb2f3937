import type { Refusal } from '@seatbelt/domain'
import type { z } from 'zod'
import type { Answer } from './answer.ts'
import type { Follow } from './event-streams.ts'
import { isAnswer, type Operation, readParams } from './operation.ts'
import type { ProblemCode } from './problem.ts'

/** A path that is answered by a stream of server-sent events. It has the doors of the operations, and an end of its own. */
export interface StreamOperation extends Pick<Operation, 'path' | 'operationId' | 'tag' | 'summary'> {
  readonly description: string
  readonly params: z.ZodObject
  /** What can come, by name, with what its `data` is. */
  readonly events: Readonly<Record<string, { readonly description: string; readonly schema: z.ZodType }>>
  /** Those of its own, before it begins. */
  readonly problems: readonly ProblemCode[]
  /** How it is followed, or why it is not. */
  readonly open: (request: StreamRequest<Readonly<Record<string, string>>>) => Promise<Answer | Follow>
}

export interface StreamRequest<Params> {
  readonly accountId: string
  readonly params: Params
  /** Where an earlier stream broke off, as the client says. */
  readonly lastEventId: string | null
}

export function defineStream<Params extends z.ZodObject>(
  definition: Omit<StreamOperation, 'params' | 'open'> & {
    readonly params: Params
    /** As for operations. */
    readonly unknownId: (params: Readonly<Record<string, string>>) => Refusal
    readonly open: (request: StreamRequest<z.output<Params>>) => Promise<Answer | Follow>
  },
): StreamOperation {
  return {
    ...definition,
    open: async (request) => {
      const params = readParams(definition, request)
      return isAnswer(params) ? params : definition.open({ ...request, params: params.value })
    },
  }
}
