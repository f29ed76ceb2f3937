import type { Invariant } from '../invariant.ts'
import { acknowledgedPaymentsExist } from './acknowledged-payments-exist.ts'
import { answersIdentical } from './answers-identical.ts'
import { bookingsHaveTheirMoney } from './bookings-have-their-money.ts'
import { capacityKept } from './capacity-kept.ts'
import { customersOfTheAccount } from './customers-of-the-account.ts'
import { nothingLeftOver } from './nothing-left-over.ts'
import { oneChargePerOrder } from './one-charge-per-order.ts'
import { oneChargePerPeriod } from './one-charge-per-period.ts'
import { receiptsOnce } from './receipts-once.ts'
import { refundsWithinPayment } from './refunds-within-payment.ts'
import { seatsSoldOnce } from './seats-sold-once.ts'
import { transfersAgree } from './transfers-agree.ts'

/** None may be violated; and those that a run expects must have had something to look at. */
export const invariants: readonly Invariant[] = [
  oneChargePerOrder,
  acknowledgedPaymentsExist,
  nothingLeftOver,
  seatsSoldOnce,
  capacityKept,
  transfersAgree,
  receiptsOnce,
  answersIdentical,
  refundsWithinPayment,
  oneChargePerPeriod,
  customersOfTheAccount,
  bookingsHaveTheirMoney,
]
