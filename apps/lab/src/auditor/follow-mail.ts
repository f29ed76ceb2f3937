import { z } from 'zod'
import type { Mail } from './evidence.ts'
import { IncompleteRead } from './incomplete-read.ts'

export interface MailFollower {
  /** All that was read so far, in the order of arrival. */
  readonly mails: readonly Mail[]
  /** Reads on to the present end. Resolves with how many were new. @throws IncompleteRead */
  catchUp(): Promise<number>
}

/** The sink's largest page. */
const pageLimit = 1_000
/** A page takes milliseconds; a sink that takes longer than this is not well. */
const pageTimeoutMs = 10_000

const pageSchema = z.object({
  items: z.array(
    z.object({
      number: z.number().int(),
      arrivedAt: z.iso.datetime().transform((at) => new Date(at)),
      messageId: z.string().nullable(),
      recipients: z.array(z.string()),
      fault: z.string().nullable(),
    }),
  ),
  next: z.number().int().nullable(),
})

/** Reads what arrived at the mail sink, page by page. Messages are numbered without gaps: where one is missing, the read is incomplete. */
export function followMail(mailSinkUrl: string): MailFollower {
  const mails: Mail[] = []

  return {
    mails,
    async catchUp() {
      const known = mails.length
      for (;;) {
        const page = await readPage(mailSinkUrl, mails.length)
        for (const mail of page.items) {
          if (mail.number !== mails.length + 1) {
            throw new IncompleteRead(`the mail sink has message ${mail.number} after message ${mails.length}`)
          }
          mails.push(mail)
        }
        if (page.next === null || page.items.length === 0) return mails.length - known
      }
    },
  }
}

async function readPage(mailSinkUrl: string, after: number): Promise<z.infer<typeof pageSchema>> {
  const url = `${mailSinkUrl}/v1/messages?after=${after}&limit=${pageLimit}`
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(pageTimeoutMs) })
    if (!response.ok) throw new Error(`the mail sink answered ${response.status}`)
    return pageSchema.parse(await response.json())
  } catch (cause) {
    throw new IncompleteRead('the mail sink could not be read', { cause })
  }
}
