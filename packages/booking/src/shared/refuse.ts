import type { Refusal } from '@seatbelt/domain'
import type { Refused } from '@seatbelt/safety'

export function refuse(refusal: Refusal): Refused {
  return { kind: 'refused', refusal }
}
