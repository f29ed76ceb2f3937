import { Router } from 'express'
import { z } from 'zod'
import type { Books } from '../books.ts'

const page = z.object({
  afterSeq: z.coerce.number().int().min(0).default(0),
  /** A page of 1,000 is half a megabyte. */
  limit: z.coerce.number().int().min(1).max(5_000).default(1_000),
})

/** What the simulator testifies. Not Stripe's, without a key, and never subject to latency or faults. */
export function ledgerEndpoints(books: Books): Router {
  const router = Router()

  router.get('/', (request, response) => {
    const asked = page.safeParse(request.query)
    if (!asked.success) {
      response.status(400).json({ error: z.prettifyError(asked.error) })
      return
    }
    const { entries, hasMore } = books.entriesAfter(asked.data.afterSeq, asked.data.limit)
    response.json({ entries, nextAfterSeq: hasMore ? (entries.at(-1)?.seq ?? null) : null })
  })

  router.get('/orders/:orderId', (request, response) => {
    response.json(books.tallyOfOrder(request.params.orderId))
  })

  return router
}
