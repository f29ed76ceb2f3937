import type { Invariant } from '../invariant.ts'
import { acknowledgedPaymentsExist } from './acknowledged-payments-exist.ts'
import { answersIdentical } from './answers-identical.ts'
import { nothingLeftOver } from './nothing-left-over.ts'
import { oneChargePerOrder } from './one-charge-per-order.ts'
import { transfersAgree } from './transfers-agree.ts'

/** Every one must have had something to look at, and found nothing. */
export const invariants: readonly Invariant[] = [
  oneChargePerOrder,
  acknowledgedPaymentsExist,
  nothingLeftOver,
  transfersAgree,
  answersIdentical,
]
