import { expect, it } from 'vitest'
import { createLogger } from '../src/index.ts'

it('a key or a payment method is not written, at whatever depth an object has it', () => {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', instance: 'shop-1' }, { write: (line) => lines.push(line) })
  const secret = { authorization: 'Bearer s3cret', paymentMethod: 's3cret', apiKey: 's3cret' }
  logger.info(secret, 'top')
  logger.info({ a: secret }, 'inside')
  logger.info({ a: { headers: secret } }, 'further inside')
  logger.info({ a: { b: { c: secret } } }, 'deep inside')
  expect(lines).toHaveLength(4)
  expect(lines.join('')).not.toContain('s3cret')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', instance: 'shop-1', msg: 'top' })
})
