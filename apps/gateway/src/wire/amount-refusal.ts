import { amountProblem, currencyRules, isCurrency, unitProblem } from '@seatbelt/domain'

export interface AmountRefusal {
  readonly message: string
  readonly code?: string
}

/** Why Stripe would not charge so much. The words about units are ours: Stripe publishes the rule and no message. */
export function refuseCharge(amountMinor: number, currency: string): AmountRefusal | null {
  if (!isCurrency(currency)) return null
  const problem = amountProblem({ amountMinor, currency })
  switch (problem?.code) {
    case undefined:
      return null
    case 'too-small':
      return {
        message: `Amount must be at least ${amountInWords(problem.minMinor, currency)} ${currency.toLowerCase()}`,
        code: 'amount_too_small',
      }
    case 'too-large':
      return {
        message: `Amount must be no more than ${amountInWords(problem.maxMinor, currency)}`,
        code: 'amount_too_large',
      }
    case 'between-units':
      return refuseFraction(amountMinor, currency)
    default:
      return problem satisfies never
  }
}

/** The rule that captures and refunds have too. */
export function refuseFraction(amountMinor: number, currency: string): AmountRefusal | null {
  const problem = isCurrency(currency) ? unitProblem({ amountMinor, currency }, amountMinor) : null
  return problem && { message: `Amounts in ${currency.toLowerCase()} must be divisible by ${problem.unitMinor}.` }
}

export function amountInWords(amountMinor: number, currency: string): string {
  const exponent = isCurrency(currency) ? currencyRules[currency].exponent : 2
  return new Intl.NumberFormat('en-US', { style: 'currency', currency }).format(amountMinor / 10 ** exponent)
}
