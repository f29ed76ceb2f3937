import type { AttachedPaymentMethod, Customer } from '../customer.ts'
import { unixSeconds } from './stripe-values.ts'

/** The customer as Stripe writes it. */
export function renderCustomer(customer: Customer): object {
  return {
    id: customer.id,
    object: 'customer',
    address: null,
    balance: 0,
    created: unixSeconds(customer.createdAt),
    currency: null,
    default_source: null,
    delinquent: false,
    description: customer.description,
    discount: null,
    email: customer.email,
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    metadata: customer.metadata,
    name: customer.name,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: null,
  }
}

/** Of each card here. The numbers are those of no card. */
export const simulatedCard = { country: 'US', exp_month: 12, exp_year: 2035, funding: 'credit', last4: '0000' }

/** The payment method as Stripe writes it. `customerId` null: it is attached to no customer. */
export function renderPaymentMethod(
  method: Omit<AttachedPaymentMethod, 'customerId'> & { readonly customerId: string | null },
): object {
  return {
    id: method.id,
    object: 'payment_method',
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    card: { brand: brandOf(method.card), ...simulatedCard },
    created: unixSeconds(method.createdAt),
    customer: method.customerId,
    customer_account: null,
    livemode: false,
    metadata: {},
    type: 'card',
  }
}

const brands = ['visa', 'mastercard', 'amex', 'discover', 'diners', 'jcb', 'unionpay']

/** `pm_card_mastercard_debit` says it; those that are named after what they do are Visa cards, as at Stripe. */
function brandOf(card: string): string {
  return brands.find((brand) => card.startsWith(`pm_card_${brand}`)) ?? 'visa'
}
