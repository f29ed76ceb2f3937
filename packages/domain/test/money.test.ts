import { describe, expect, it } from 'vitest'
import {
  amountProblem,
  type Currency,
  currencies,
  currencyRules,
  formatMoney,
  isCurrency,
  maxAmountMinor,
  maxPriceMinor,
} from '../src/index.ts'

// As the gateway's page prints them, and not read from `Intl`, which tells how a currency is usually shown.
const published = {
  zeroDecimals: 'BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF',
  threeDecimals: 'BHD JOD KWD OMR TND',
  wholeUnitsInCents: 'ISK UGX',
  minimums: [
    '0.50 USD, 2.00 AED, 0.50 ARS, 0.50 AUD, 0.50 BRL, 0.50 CAD, 0.50 CHF, 0.50 COP, 15.00 CZK, 2.50 DKK, 0.50 EUR',
    '0.30 GBP, 4.00 HKD, 175.00 HUF, 0.50 IDR, 0.50 ILS, 0.50 INR, 50 JPY, 50 KRW, 10.00 MXN, 2.00 MYR, 3.00 NOK',
    '0.50 NZD, 0.50 PHP, 2.00 PLN, 2.00 RON, 0.50 RUB, 3.00 SEK, 0.50 SGD, 10.00 THB, 0.50 ZAR',
  ]
    .join(', ')
    .split(', '),
  longAmounts: 'COP IDR INR',
}

const codes = (list: string) => list.split(' ')
const having = (holds: (rules: (typeof currencyRules)[Currency]) => boolean) =>
  currencies.filter((currency) => holds(currencyRules[currency]))

describe('the table of currencies', () => {
  it('counts each currency as the gateway counts it', () => {
    expect(having(({ exponent }) => exponent === 0)).toEqual(codes(published.zeroDecimals))
    expect(having(({ exponent }) => exponent === 3)).toEqual(codes(published.threeDecimals))
    expect(having(({ unitMinor }) => unitMinor === 100)).toEqual(codes(published.wholeUnitsInCents))
    expect(having(({ unitMinor }) => unitMinor === 10)).toEqual(codes(published.threeDecimals))
  })

  it('has the published minimums, and the smallest unit as every other minimum', () => {
    const minimums = having(({ minMinor, unitMinor }) => minMinor !== unitMinor)
    const written = minimums.map((currency) => formatMoney({ amountMinor: currencyRules[currency].minMinor, currency }))
    expect(written.toSorted()).toEqual(published.minimums.toSorted())
  })

  it('has nine digits for the currencies of long amounts, and eight for all others', () => {
    expect(having(({ maxMinor }) => maxMinor === maxAmountMinor)).toEqual(codes(published.longAmounts))
    const others = having(({ maxMinor }) => maxMinor !== maxAmountMinor)
    for (const currency of others) expect(String(currencyRules[currency].maxMinor)).toMatch(/^9{6}(99|90|00)$/)
    expect(others).toHaveLength(currencies.length - 3)
  })

  it('has every currency that an earlier version took', () => {
    const earlier = [
      'AED AUD BRL CAD CHF CLP CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MXN MYR NOK NZD PEN PHP PLN RON',
      'SAR SEK SGD THB TRY TWD UAH USD VND ZAR',
    ]
    for (const currency of codes(earlier.join(' '))) expect([currency, isCurrency(currency)]).toEqual([currency, true])
    expect(currencies.length).toBeGreaterThanOrEqual(125)
    expect(['XXX', 'eur', 'toString', ''].filter(isCurrency)).toEqual([])
  })
})

describe.each(currencies)('amounts in %s', (currency) => {
  const { minMinor, maxMinor, unitMinor } = currencyRules[currency]
  const problem = (amountMinor: number) => amountProblem({ amountMinor, currency })

  it('are taken from the minimum to the maximum, in whole units', () => {
    expect([minMinor, minMinor + unitMinor, maxMinor - unitMinor, maxMinor].map(problem)).toEqual([
      null,
      null,
      null,
      null,
    ])
    expect(problem(minMinor - 1)).toEqual({ code: 'too-small', minMinor })
    expect(problem(maxMinor + 1)).toEqual({ code: 'too-large', maxMinor })
  })

  it('at the highest price of a seat can be paid for ten, and for one', () => {
    const priceMinor = maxPriceMinor(currency, 10)
    expect([priceMinor, 10 * priceMinor].map(problem)).toEqual([null, null])
    expect(problem(10 * (priceMinor + unitMinor))).toEqual({ code: 'too-large', maxMinor })
  })
})

describe('an amount between two units', () => {
  it.each<[Currency, number, number, readonly number[]]>([
    ['ISK', 1_999, 100, [1_900, 2_000]],
    ['UGX', 101, 100, [100, 200]],
    ['KWD', 5_124, 10, [5_120, 5_130]],
    ['BHD', 11, 10, [10, 20]],
    ['ISK', 99_999_899, 100, [99_999_800, 99_999_900]],
  ])('is refused in %s (%d), and the nearest amounts are named', (currency, amountMinor, unitMinor, nearestMinor) => {
    expect(amountProblem({ amountMinor, currency })).toEqual({ code: 'between-units', unitMinor, nearestMinor })
  })

  it('is none in forints and Taiwan dollars, of which only payouts are whole', () => {
    expect(amountProblem({ amountMinor: 17_545, currency: 'HUF' })).toBeNull()
    expect(amountProblem({ amountMinor: 80_045, currency: 'TWD' })).toBeNull()
  })
})

it.each<[number, Currency, string]>([
  [1_999, 'EUR', '19.99 EUR'],
  [5, 'USD', '0.05 USD'],
  [1_999, 'JPY', '1999 JPY'],
  [5_120, 'KWD', '5.120 KWD'],
  [2_000, 'ISK', '20 ISK'],
  [999_999_999, 'IDR', '9999999.99 IDR'],
  // An earlier version took it.
  [1_999, 'ISK', '19.99 ISK'],
])('%d minor units of %s are written as %s', (amountMinor, currency, text) => {
  expect(formatMoney({ amountMinor, currency })).toBe(text)
})
