/**
 * Money is a whole number of minor units and a currency. It is never a float and never added across currencies.
 *
 * `maxAmountMinor` is the largest charge the gateway takes: eight digits. It fits a 32-bit column with room to spare.
 */
export const maxAmountMinor = 99_999_999

/**
 * The ISO 4217 codes that the gateway charges in, each with the decimal digits of the unit in which it counts: 1999 is 19.99 EUR,
 * and 1999 JPY. A code outside this list is a client's mistake, not ours to guess.
 *
 * Neither `Intl` nor ISO 4217 tells this. `Intl` tells how amounts are usually shown (forints and rupiahs without the hundredths in
 * which they are charged); and ISO's króna has no minor unit, where the gateway kept its hundredths.
 *
 * Source: https://docs.stripe.com/currencies, "Zero-decimal currencies" and "Special cases"
 */
export const minorDigits = {
  AED: 2,
  AUD: 2,
  BRL: 2,
  CAD: 2,
  CHF: 2,
  CLP: 0,
  CNY: 2,
  COP: 2,
  CZK: 2,
  DKK: 2,
  EUR: 2,
  GBP: 2,
  HKD: 2,
  HUF: 2,
  IDR: 2,
  ILS: 2,
  INR: 2,
  ISK: 2,
  JPY: 0,
  KRW: 0,
  MXN: 2,
  MYR: 2,
  NOK: 2,
  NZD: 2,
  PEN: 2,
  PHP: 2,
  PLN: 2,
  RON: 2,
  SAR: 2,
  SEK: 2,
  SGD: 2,
  THB: 2,
  TRY: 2,
  TWD: 2,
  UAH: 2,
  USD: 2,
  VND: 0,
  ZAR: 2,
} as const

export type Currency = keyof typeof minorDigits

export const currencies = Object.keys(minorDigits) as readonly Currency[]

export interface Money {
  readonly amountMinor: number
  readonly currency: Currency
}
