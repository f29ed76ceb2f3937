/**
 * Money is a whole number of minor units and a currency. It is never a float and never added across currencies.
 *
 * `maxAmountMinor` is the largest charge the gateway takes: eight digits. It fits a 32-bit column with room to spare.
 */
export const maxAmountMinor = 99_999_999

/** ISO 4217 codes that the gateway charges in. A code outside this list is a client's mistake, not ours to guess. */
export const currencies = [
  'AED',
  'AUD',
  'BRL',
  'CAD',
  'CHF',
  'CLP',
  'CNY',
  'COP',
  'CZK',
  'DKK',
  'EUR',
  'GBP',
  'HKD',
  'HUF',
  'IDR',
  'ILS',
  'INR',
  'ISK',
  'JPY',
  'KRW',
  'MXN',
  'MYR',
  'NOK',
  'NZD',
  'PEN',
  'PHP',
  'PLN',
  'RON',
  'SAR',
  'SEK',
  'SGD',
  'THB',
  'TRY',
  'TWD',
  'UAH',
  'USD',
  'VND',
  'ZAR',
] as const

export type Currency = (typeof currencies)[number]

export interface Money {
  readonly amountMinor: number
  readonly currency: Currency
}
