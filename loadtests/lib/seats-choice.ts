import { type Answer, problemCode } from './client.ts'
import { environment } from './environment.ts'
import { answersUnexpected, mapsUnchanged } from './metrics.ts'
import {
  askForMap,
  type Hold,
  heldBy,
  type SeatedEvent,
  type SeatMap,
  type SeatOnMap,
  toHold,
  type Wish,
} from './seats-client.ts'
import { dice, type Group } from './seats-crowd.ts'
import { fireVolley } from './volley.ts'

/** Somebody who got nothing so often goes home. */
const mostTries = 8

/**
 * Looks for seats as a group does who wants to be in: on the map, and once more where somebody was quicker; in another section;
 * in the end standing. Null: it got nothing.
 */
export function findSeats(event: SeatedEvent, group: Group): Hold | null {
  const customerId = `group-${group.number}`
  let map: LookedAt | null = null
  let wants = group.wants
  for (let tried = 0; tried < mostTries; tried += 1) {
    const section = sectionFor(event, group, tried)
    if (wants === 'map') map = lookAt(event, section, { before: map, offset: group.number + tried })
    const wish = wishFor(event, group, { wants, section, free: map?.free ?? [], tried })
    if (wish === null) {
      wants = another(wants, event)
      continue
    }
    const key = `${environment.run}-hold-${group.number}-${tried}`
    const [answer] = fireVolley([toHold(event.id, customerId, key, wish)], group.number + tried)
    const hold = answer && heldBy(answer)
    if (hold) return hold
    if (!answer || !isRefusal(answer)) return null
    // Who was beaten to a seat looks again; who was told that there are none so near to each other asks elsewhere.
    if (problemCode(answer) !== 'seats-taken') wants = another(wants, event)
  }
  return null
}

const refusals = ['seats-taken', 'no-adjacent-seats', 'sold-out']

function isRefusal(answer: Answer): boolean {
  const code = problemCode(answer) ?? 'none'
  if (refusals.includes(code)) return true
  answersUnexpected.add(1, { status: String(answer.status), code })
  return false
}

function another(wants: Group['wants'], { tiers }: SeatedEvent): Group['wants'] {
  if (wants === 'map') return 'adjacent'
  return wants === 'adjacent' && tiers.length > 0 ? 'places' : 'map'
}

/** Everybody wants to sit in the stalls first. */
function sectionFor({ sections }: SeatedEvent, { number }: Group, tried: number): string {
  const favourite = Math.floor(dice(number, 6) ** 2 * sections.length)
  const section = sections[(favourite + Math.floor(tried / 2)) % sections.length]
  if (section === undefined) throw new Error('the event has no section')
  return section.id
}

interface Wanting {
  readonly wants: Group['wants']
  readonly section: string
  readonly free: readonly SeatOnMap[]
  readonly tried: number
}

/** Null: there is nothing to ask for. */
function wishFor(
  { tiers }: SeatedEvent,
  { people, number }: Group,
  { wants, section, free, tried }: Wanting,
): Wish | null {
  if (wants === 'places') return { tierId: String(tiers[0]?.id), quantity: people }
  if (wants === 'adjacent') return { sectionId: section, quantity: people }
  if (free.length < people) return null
  // Where they pointed first, and whatever is free there: the seats of a group need not be beside each other.
  const start = Math.floor(dice(number, 10 + tried) ** 2 * (free.length - people + 1))
  return { seatIds: free.slice(start, start + people).map(({ id }) => id) }
}

interface LookedAt {
  readonly section: string
  readonly etag: string | null
  readonly free: readonly SeatOnMap[]
}

function lookAt(
  { id: eventId }: SeatedEvent,
  section: string,
  { before, offset }: { before: LookedAt | null; offset: number },
): LookedAt {
  const known = before?.section === section ? before : null
  const answer = askForMap(eventId, section, { etag: known?.etag ?? null, offset })
  if (answer.status === 304 && known !== null) {
    mapsUnchanged.add(1)
    return known
  }
  if (answer.status !== 200) return { section, etag: null, free: [] }
  const { rows } = answer.json() as unknown as SeatMap
  const free = rows.flatMap(({ seats }) => seats).filter(({ state }) => state === 'free')
  return { section, etag: answer.headers.Etag ?? null, free }
}
