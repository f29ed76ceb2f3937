import type { CustomerCreated, PaymentMethodAttached } from './facts.ts'

export interface Customer {
  readonly id: string
  readonly createdAt: string
  readonly email: string | null
  readonly name: string | null
  readonly description: string | null
  readonly metadata: Readonly<Record<string, string>>
}

export interface AttachedPaymentMethod {
  readonly id: string
  readonly createdAt: string
  readonly customerId: string
  /** The test payment method whose behaviour it has. */
  readonly card: string
}

export function customerFrom(fact: CustomerCreated): Customer {
  const { customerId, at, email, name, description, metadata } = fact
  return { id: customerId, createdAt: at, email, name, description, metadata }
}

export function paymentMethodFrom(fact: PaymentMethodAttached): AttachedPaymentMethod {
  const { paymentMethodId, at, customerId, card } = fact
  return { id: paymentMethodId, createdAt: at, customerId, card }
}
