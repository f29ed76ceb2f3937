import { type Currency, minorDigits } from '@seatbelt/domain'

/** `1,234.50 EUR`: what a person reads. A currency that we do not charge in is shown in minor units: how many make one is not ours to guess. */
export function formatMoney(minor: number, currency: string): string {
  if (!isKnown(currency)) return `${minor} minor units ${currency}`.trim()
  const digits = minorDigits[currency]
  const amount = new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  return `${amount.format(minor / 10 ** digits)} ${currency}`
}

function isKnown(currency: string): currency is Currency {
  return Object.hasOwn(minorDigits, currency)
}
