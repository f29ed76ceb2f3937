/** What the pinned `stripe` package asks for. */
export const apiVersion = '2026-10-28.endive'

export function unixSeconds(at: string): number {
  return Math.floor(Date.parse(at) / 1000)
}
