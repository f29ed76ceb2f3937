import { expect, it } from 'vitest'
import { isMailAddress } from '../src/mail-address.ts'

const local64 = 'a'.repeat(64)

it.each([
  'ada@example.com',
  "o'neil+tickets@mail.example.co.uk",
  'user&co@example.com',
  'a!b@example.com',
  'a/b@example.com',
  'a&b@example.com',
  'info@räucher.de',
  'müller@example.com',
  'ada@example.xn--p1ai',
  'ада@пример.рф',
  'ada@EXAMPLE.com',
  `${local64}@example.com`,
])('%s is an address that mail servers take', (address) => {
  expect(isMailAddress(address)).toBe(true)
})

it.each([
  '',
  'ada',
  '@example.com',
  'ada@',
  'ada@example',
  'ada@-x.com',
  'ada@x-.com',
  'ada@x..com',
  'ada@x.com.',
  '.ada@example.com',
  'ada.@example.com',
  'a..b@example.com',
  'a b@example.com',
  'ada@exam ple.com',
  'ada@eve@example.com',
  '"ada"@example.com',
  'ada@[127.0.0.1]',
  'ada@127.0.0.1',
  'ada@0x7f.1',
  'ada@exa%6dple.com',
  'ada@example.com:25',
  'ada@xn--a.com',
  'ada@exa_mple.com',
  'ada\u202e@example.com',
  'ada\u2028@example.com',
  'ada@example.com\r\nBcc: eve@example.com',
  'ada>@example.com',
  `${local64}a@example.com`,
  `${'ä'.repeat(33)}@example.com`,
  `ada@${'a'.repeat(64)}.com`,
  `${local64}@${`${'a'.repeat(60)}.`.repeat(3)}example.com`,
])('%j is none', (address) => {
  expect(isMailAddress(address)).toBe(false)
})
