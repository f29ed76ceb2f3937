import { describe, expect, it } from 'vitest'
import { decodeCursor, encodeCursor } from '../src/index.ts'

const id = '0192f000-0000-7000-8000-0000000000ff'

describe('a cursor', () => {
  it('comes back as the id that it was made of', () => {
    expect(decodeCursor(encodeCursor(id))).toBe(id)
  })

  it.each([
    ['nothing', ''],
    ['the id itself', id],
    ['a UUID of another version', encodeCursor('0192f000-0000-4000-8000-0000000000ff')],
    ['fifteen bytes', Buffer.alloc(15, 0x77).toString('base64url')],
    ['seventeen bytes', Buffer.alloc(17, 0x77).toString('base64url')],
    ['padding', `${encodeCursor(id)}==`],
    ['stray bits in the last character', `${encodeCursor(id).slice(0, -1)}x`],
    ['characters that decoding would skip', `!${encodeCursor(id)}`],
  ])('that is %s is refused', (_what, cursor) => {
    expect(decodeCursor(cursor)).toBeNull()
  })
})
