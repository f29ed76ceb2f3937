/** A line of a payment's history that is written by the very statement that it tells of. */
export interface HistoryLine {
  readonly event: string
  /** The process that did it. */
  readonly by: string
  readonly gatewayRequestId: string | null
}
