export interface MeetingPlace {
  /**
   * Resolves with true when as many clients as named have come to the meeting, for all of them at once; with false when
   * they did not come within the bound, or when there are too many meetings already.
   */
  arrive(meeting: string, clients: number): Promise<boolean>
}

/** Virtual users that pay for the same order come within milliseconds of each other, unless one still waits for a lease. */
const defaultWaitMs = 5_000
/** One for each order that several clients pay for at the same time, many times over. */
const meetingsLimit = 1_000

/** Where separate clients of a load test wait for each other, so that their requests start together and not by chance. */
export function createMeetingPlace({ waitMs = defaultWaitMs }: { waitMs?: number } = {}): MeetingPlace {
  const meetings = new Map<string, Set<(met: boolean) => void>>()

  return {
    arrive(meeting, clients) {
      const present = meetings.get(meeting) ?? new Set()
      if (present.size + 1 >= clients) {
        meetings.delete(meeting)
        for (const letGo of present) letGo(true)
        return Promise.resolve(true)
      }
      if (!meetings.has(meeting) && meetings.size >= meetingsLimit) return Promise.resolve(false)
      meetings.set(meeting, present)
      return new Promise((resolve) => {
        const letGo = (met: boolean) => {
          clearTimeout(timer)
          resolve(met)
        }
        const timer = setTimeout(() => {
          present.delete(letGo)
          if (present.size === 0 && meetings.get(meeting) === present) meetings.delete(meeting)
          resolve(false)
        }, waitMs)
        present.add(letGo)
      })
    },
  }
}
