export * from './money.ts'
export * from './order.ts'
export * from './payment.ts'
export * from './refusal.ts'
