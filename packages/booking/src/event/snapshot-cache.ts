export interface Pictures<Picture> {
  /** The picture of this name, no older than `maxAgeMs` when it was asked for; null: there is none. Fails as `take` does. */
  get(name: string): Promise<Picture | null>
}

export interface PicturesOptions<Picture> {
  /** Null: there is nothing of this name, which is not remembered. */
  readonly take: (name: string) => Promise<Picture | null>
  readonly maxAgeMs: number
  /** What all that are kept may weigh together. The one that was taken longest ago makes room. */
  readonly mostWeight: number
  readonly weigh: (picture: Picture) => number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

interface Taken<Picture> {
  /** From before the question: it may not show what became true since. */
  readonly takenAtMs: number
  readonly picture: Promise<Picture | null>
  /** Null while it is under way. */
  weight: number | null
}

/**
 * Pictures of what changes all the time, shared by all who ask: however many ask, there is one question at a time for a name. Who
 * finds one under way that is too old by now gets the next, which is taken once that one is there, together with all others who
 * came too late for it.
 *
 * Does not guarantee: that what it shows is still so. It is for looking; whoever decides reads the rows.
 */
export function createPictures<Picture>(options: PicturesOptions<Picture>): Pictures<Picture> {
  const { take, maxAgeMs, mostWeight, weigh, now = () => performance.now() } = options
  const latest = new Map<string, Taken<Picture>>()
  const waiting = new Map<string, Promise<Picture | null>>()
  let weightOfAll = 0

  function start(name: string): Promise<Picture | null> {
    forget(name)
    const taken: Taken<Picture> = { takenAtMs: now(), picture: take(name), weight: null }
    latest.set(name, taken)
    taken.picture.then(
      (picture) => keep(name, taken, picture),
      () => keep(name, taken, null),
    )
    return taken.picture
  }

  function keep(name: string, taken: Taken<Picture>, picture: Picture | null): void {
    if (picture === null) {
      forget(name)
      return
    }
    taken.weight = weigh(picture)
    weightOfAll += taken.weight
    for (const [other, { weight }] of latest) {
      if (weightOfAll <= mostWeight) return
      if (weight !== null) forget(other)
    }
  }

  function forget(name: string): void {
    weightOfAll -= latest.get(name)?.weight ?? 0
    latest.delete(name)
  }

  function startAfter(underWay: Promise<unknown>, name: string): Promise<Picture | null> {
    const startNext = () => {
      waiting.delete(name)
      return start(name)
    }
    const next = underWay.then(startNext, startNext)
    waiting.set(name, next)
    return next
  }

  return {
    async get(name) {
      const known = latest.get(name)
      if (known && now() - known.takenAtMs <= maxAgeMs) return known.picture
      const isUnderWay = known?.weight === null
      return waiting.get(name) ?? (isUnderWay ? startAfter(known.picture, name) : start(name))
    },
  }
}
