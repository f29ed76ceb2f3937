import { unknownReport } from '@seatbelt/worker'

import { describe, expect, it } from 'vitest'
import { formatMoney } from '../../src/reconcile/format-money.ts'
import { renderPage } from '../../src/reconcile/render-page.ts'
import { allPutRight, sampleReport } from './sample-report.ts'

describe('the page', () => {
  it.each([
    [sampleReport({ findings: [] }), 'Nothing differs.'],
    [sampleReport({ findings: [], judged: 0 }), 'Nothing was old enough to be judged.'],
    [sampleReport({ findings: allPutRight }), 'Nothing differs any more: 2 differences put right.'],
    [sampleReport(), '5 differences stand, 3 of them for a person to decide.'],
    [sampleReport({ findings: [], interruptedBy: 'the gateway is away' }), 'Not known: it was not read to the end.'],
    [unknownReport('worker-1 is at it', new Date()), 'Not known: it was not read to the end.'],
  ])('says first how it stands', (report, headline) => {
    expect(renderPage(report)).toContain(`<p class="verdict ${report.verdict}">${headline}</p>`)
  })

  it('says of each difference what it means in money, what was done, and what is to do', () => {
    const page = renderPage(sampleReport())
    expect(page).toContain('Charged twice <span class="amount">42.00 EUR</span>')
    expect(page).toContain(
      'npm run reconcile -- --act --as NAME --reason TEXT would take the refund back in our books.',
    )
    expect(page).toContain('12,345.50 EUR')
    expect(page).toContain('980 JPY')
    expect(page).toContain('Given back to the customer.')
  })

  it('says what was too young to be judged', () => {
    expect(renderPage(sampleReport({ findings: [] }))).toContain('What is younger than 18 minutes was not judged')
  })

  it('shows what strangers wrote as text', () => {
    const page = renderPage(sampleReport())
    expect(page).not.toContain('<script>')
    expect(page).toContain('&#60;script&#62;')
  })
})

describe('money', () => {
  it.each([
    [4_200, 'EUR', '42.00 EUR'],
    [980, 'JPY', '980 JPY'],
    [-1, 'USD', '-0.01 USD'],
    [4_200, 'ISK', '42 ISK'],
    [123_450, 'HUF', '1,234.50 HUF'],
    [4_200, 'KWD', '4.200 KWD'],
    [4_200, 'XAU', '4200 minor units XAU'],
    [4_200, 'no code', '4200 minor units no code'],
    [4_200, '', '4200 minor units'],
  ])('%s of %s is %s', (minor, currency, text) => {
    expect(formatMoney(minor, currency)).toBe(text)
  })
})
