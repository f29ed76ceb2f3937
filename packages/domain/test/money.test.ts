import { expect, it } from 'vitest'
import { currencies, minorDigits } from '../src/index.ts'

// Held against Stripe's page and not against `Intl`, which tells how a currency is usually shown.
it('every currency is counted as the gateway counts it: four in whole units, all others in hundredths', () => {
  const whole = currencies.filter((currency) => minorDigits[currency] === 0)
  expect(whole).toEqual(['CLP', 'JPY', 'KRW', 'VND'])
  const hundredths = currencies.filter((currency) => minorDigits[currency] === 2)
  expect(hundredths).toHaveLength(currencies.length - whole.length)
  expect(hundredths).toEqual(expect.arrayContaining(['COP', 'HUF', 'IDR', 'ISK', 'TWD', 'EUR']))
})
