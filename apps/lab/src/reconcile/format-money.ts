import { currencyRules, isCurrency, shownDigits } from '@seatbelt/domain'

/** `1,234.50 EUR`: what a person reads. A currency that we do not charge in is shown in minor units: how many make one is not ours to guess. */
export function formatMoney(minor: number, currency: string): string {
  if (!isCurrency(currency)) return `${minor} minor units ${currency}`.trim()
  const digits = shownDigits({ amountMinor: minor, currency })
  const amount = new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return `${amount.format(minor / 10 ** currencyRules[currency].exponent)} ${currency}`
}
