import { z } from 'zod'

/** More than every relay of every worker can have in its hands. */
const messagesLimit = 1_000

/**
 * Something that was done to the system on purpose and can have sent a message twice: a relay that was killed, an answer to a
 * COMMIT that was lost. Each accounts for one further copy of each message that was in flight then. (An answer of the mail
 * server that was lost need not be declared where the sink was told to lose it: the sink says so itself.)
 */
export const disturbanceSchema = z.strictObject({
  what: z.string().min(1).max(200),
  /** The outbox ids of the messages in flight; null: it cannot be told which, so that it may have been any. */
  messageIds: z.array(z.string().max(64)).max(messagesLimit).nullable(),
})

export type Disturbance = z.infer<typeof disturbanceSchema>
