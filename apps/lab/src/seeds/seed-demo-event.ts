import { z } from 'zod'
import { buildHall, type HallSize } from '../../../../loadtests/lib/hall.ts'
import { developmentApiKey } from '../stack/description.ts'

/** An event on sale, and what of it a person can ask for. */
export interface DemoEvent {
  readonly id: string
  /** The most expensive seats. */
  readonly sectionId: string
}

/** Large enough to walk around in, small enough to read its map. */
const size: HallSize = { seats: 600, places: 200 }
const bestSection = 'Stalls Centre'
const saleDays = 30
const timeoutMs = 10_000

const eventSchema = z.object({
  id: z.string(),
  sections: z.array(z.object({ id: z.string(), name: z.string() })),
})

/**
 * Puts an event of the development account on sale, through the API as anybody would. As often as it is called in a day, and by
 * whomever, it is one event.
 *
 * Fails with: an `Error` that says what the API answered.
 */
export async function seedDemoEvent(bookingUrl: string): Promise<DemoEvent> {
  const day = new Date().toISOString().slice(0, 10)
  const saleOpensAt = new Date(`${day}T00:00:00.000Z`)
  const response = await fetch(`${bookingUrl}/v1/events`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${developmentApiKey}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': `demo-event-${day}`,
    },
    body: JSON.stringify({
      ...{ name: 'Mahler: Symphony No. 2', currency: 'EUR', saleOpensAt: saleOpensAt.toISOString() },
      saleClosesAt: new Date(saleOpensAt.getTime() + saleDays * 86_400_000).toISOString(),
      ...buildHall(size),
    }),
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await response.text()
  if (response.status !== 201) throw new Error(`the demo event was not created: ${response.status} ${text}`)
  const { id, sections } = eventSchema.parse(JSON.parse(text))
  const best = sections.find(({ name }) => name === bestSection)
  if (best === undefined) throw new Error(`the demo event has no section ${bestSection}`)
  return { id, sectionId: best.id }
}
