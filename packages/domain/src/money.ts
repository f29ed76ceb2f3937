/** Money is a whole number of minor units and a currency. It is never a float and never added across currencies. */
export interface Money {
  readonly amountMinor: number
  readonly currency: Currency
}

/** The gateway's rules of a currency. All amounts are in minor units, as the gateway counts them. */
export interface CurrencyRules {
  /** Decimal digits of the minor unit: 1999 is 19.99 EUR (2), 1999 JPY (0) and 1.999 KWD (3). */
  readonly exponent: 0 | 2 | 3
  /** The smallest chargeable unit: every amount is a multiple of it. */
  readonly unitMinor: 1 | 10 | 100
  readonly minMinor: number
  readonly maxMinor: number
}

/**
 * Eight digits: 999,999.99 EUR. The gateway takes so many with every payment method; its reference of PaymentIntents
 * names no more for any of them.
 */
const eightDigits = 99_999_999

/**
 * Nine digits, for IDR, COP and INR. The gateway takes twelve, ten and nine. American Express carries nine, and two
 * such amounts fit into the 32-bit columns that add them up.
 */
const nineDigits = 999_999_999

/** The largest amount in any currency: the bound of the columns. */
export const maxAmountMinor = nineDigits

function cents(minMinor = 1, maxMinor = eightDigits): CurrencyRules {
  return { exponent: 2, unitMinor: 1, minMinor, maxMinor }
}

function wholeUnits(minMinor = 1): CurrencyRules {
  return { exponent: 0, unitMinor: 1, minMinor, maxMinor: eightDigits }
}

/** The currency has no cents any more. The gateway still counts them, and takes whole units only. */
const wholeUnitsInCents: CurrencyRules = { exponent: 2, unitMinor: 100, minMinor: 100, maxMinor: 99_999_900 }

/** The last of the three decimal digits is always 0, because banks do not carry it. */
const thousandths: CurrencyRules = { exponent: 3, unitMinor: 10, minMinor: 10, maxMinor: 99_999_990 }

/**
 * The currencies that the gateway charges in, with its rules: the one table for validation, prices, refunds, receipts
 * and the simulator. A currency without a published minimum has its smallest chargeable unit as the minimum.
 *
 * The minimum holds where a charge is settled in its own currency. The gateway converts other charges and compares them
 * with the minimum of the settlement currency, which we do not know: it may still refuse a very small amount.
 *
 * Neither `Intl` nor ISO 4217 tells this: both have a króna without hundredths, which the gateway counts.
 *
 * Source: https://docs.stripe.com/currencies, as published on 10 July 2026: "Zero-decimal currencies", "Special cases",
 * "Minimum and maximum charge amounts". That page lists presentment currencies by country, and no longer the rule for
 * three decimal digits: both are from its version of 31 December 2022. ANG, BGN and STD are left out, because these
 * currencies have ended.
 */
export const currencyRules = {
  AED: cents(200),
  AFN: cents(),
  ALL: cents(),
  AMD: cents(),
  AOA: cents(),
  ARS: cents(50),
  AUD: cents(50),
  AWG: cents(),
  AZN: cents(),
  BAM: cents(),
  BBD: cents(),
  BDT: cents(),
  BHD: thousandths,
  BIF: wholeUnits(),
  BMD: cents(),
  BND: cents(),
  BOB: cents(),
  BRL: cents(50),
  BSD: cents(),
  BWP: cents(),
  BYN: cents(),
  BZD: cents(),
  CAD: cents(50),
  CDF: cents(),
  CHF: cents(50),
  CLP: wholeUnits(),
  CNY: cents(),
  COP: cents(50, nineDigits),
  CRC: cents(),
  CVE: cents(),
  CZK: cents(1500),
  DJF: wholeUnits(),
  DKK: cents(250),
  DOP: cents(),
  DZD: cents(),
  EGP: cents(),
  ETB: cents(),
  EUR: cents(50),
  FJD: cents(),
  FKP: cents(),
  GBP: cents(30),
  GEL: cents(),
  GIP: cents(),
  GMD: cents(),
  GNF: wholeUnits(),
  GTQ: cents(),
  GYD: cents(),
  HKD: cents(400),
  HNL: cents(),
  HTG: cents(),
  HUF: cents(17_500),
  IDR: cents(50, nineDigits),
  ILS: cents(50),
  INR: cents(50, nineDigits),
  ISK: wholeUnitsInCents,
  JMD: cents(),
  JOD: thousandths,
  JPY: wholeUnits(50),
  KES: cents(),
  KGS: cents(),
  KHR: cents(),
  KMF: wholeUnits(),
  KRW: wholeUnits(50),
  KWD: thousandths,
  KYD: cents(),
  KZT: cents(),
  LAK: cents(),
  LBP: cents(),
  LKR: cents(),
  LRD: cents(),
  LSL: cents(),
  MAD: cents(),
  MDL: cents(),
  MGA: wholeUnits(),
  MKD: cents(),
  MMK: cents(),
  MNT: cents(),
  MOP: cents(),
  MUR: cents(),
  MVR: cents(),
  MWK: cents(),
  MXN: cents(1000),
  MYR: cents(200),
  MZN: cents(),
  NAD: cents(),
  NGN: cents(),
  NIO: cents(),
  NOK: cents(300),
  NPR: cents(),
  NZD: cents(50),
  OMR: thousandths,
  PAB: cents(),
  PEN: cents(),
  PGK: cents(),
  PHP: cents(50),
  PKR: cents(),
  PLN: cents(200),
  PYG: wholeUnits(),
  QAR: cents(),
  RON: cents(200),
  RSD: cents(),
  RUB: cents(50),
  RWF: wholeUnits(),
  SAR: cents(),
  SBD: cents(),
  SCR: cents(),
  SEK: cents(300),
  SGD: cents(50),
  SHP: cents(),
  SLE: cents(),
  SOS: cents(),
  SRD: cents(),
  SZL: cents(),
  THB: cents(1000),
  TJS: cents(),
  TND: thousandths,
  TOP: cents(),
  TRY: cents(),
  TTD: cents(),
  TWD: cents(),
  TZS: cents(),
  UAH: cents(),
  UGX: wholeUnitsInCents,
  USD: cents(50),
  UYU: cents(),
  UZS: cents(),
  VND: wholeUnits(),
  VUV: wholeUnits(),
  WST: cents(),
  XAF: wholeUnits(),
  XCD: cents(),
  XOF: wholeUnits(),
  XPF: wholeUnits(),
  YER: cents(),
  ZAR: cents(50),
  ZMW: cents(),
} as const satisfies Readonly<Record<string, CurrencyRules>>

export type Currency = keyof typeof currencyRules

export const currencies = Object.keys(currencyRules) as readonly Currency[]

export function isCurrency(code: string): code is Currency {
  return Object.hasOwn(currencyRules, code)
}

/** Why the gateway would refuse a charge, with the amounts nearest to it that the gateway would take. */
export type AmountProblem =
  | { readonly code: 'too-small'; readonly minMinor: number }
  | { readonly code: 'too-large'; readonly maxMinor: number }
  | { readonly code: 'between-units'; readonly unitMinor: number; readonly nearestMinor: readonly number[] }

/** Null: the gateway takes a charge of this amount. */
export function amountProblem({ amountMinor, currency }: Money): AmountProblem | null {
  const { minMinor, maxMinor } = currencyRules[currency]
  if (amountMinor < minMinor) return { code: 'too-small', minMinor }
  if (amountMinor > maxMinor) return { code: 'too-large', maxMinor }
  return unitProblem({ amountMinor, currency }, maxMinor)
}

/** Of a refund, which has no minimum of its own, too. `mostMinor`: no larger amount is proposed. */
export function unitProblem(
  { amountMinor, currency }: Money,
  mostMinor: number,
): Extract<AmountProblem, { code: 'between-units' }> | null {
  const { unitMinor } = currencyRules[currency]
  const rest = amountMinor % unitMinor
  if (rest === 0) return null
  const below = amountMinor - rest
  const nearestMinor = [below, below + unitMinor].filter((nearest) => nearest > 0 && nearest <= mostMinor)
  return { code: 'between-units', unitMinor, nearestMinor }
}

/** The highest price of which `quantity` can be paid with one charge. */
export function maxPriceMinor(currency: Currency, quantity: number): number {
  const { maxMinor, unitMinor } = currencyRules[currency]
  return Math.floor(maxMinor / quantity / unitMinor) * unitMinor
}

/** The decimal digits that a person reads: `19.99 EUR`, `1999 JPY`, `5.120 KWD`, `20 ISK`. */
export function shownDigits({ amountMinor, currency }: Money): number {
  const { exponent, unitMinor } = currencyRules[currency]
  const majorMinor = 10 ** exponent
  // An amount with hundredths of such a currency, which an earlier version took, is shown as it is.
  return unitMinor === majorMinor && amountMinor % majorMinor === 0 ? 0 : exponent
}

/** `19.99 EUR`. */
export function formatMoney(money: Money): string {
  const { amountMinor, currency } = money
  return `${(amountMinor / 10 ** currencyRules[currency].exponent).toFixed(shownDigits(money))} ${currency}`
}
