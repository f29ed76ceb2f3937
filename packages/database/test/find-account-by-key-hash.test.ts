import { createHash } from 'node:crypto'
import { freshDatabase } from '@seatbelt/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDatabase, developmentAccounts, findAccountByKeyHash, seedDevelopment } from '../src/index.ts'

const fresh = await freshDatabase()
const database = createDatabase({ url: fresh.url, poolSize: 2, applicationName: 'test' })
const find = findAccountByKeyHash(database)
const [shop, otherShop] = developmentAccounts

beforeAll(() => seedDevelopment(database))
afterAll(async () => {
  await database.close()
  await fresh.close()
})

function hash(key: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createHash('sha256').update(key).digest())
}

it('a key is found by its hash, with the account that it belongs to', async () => {
  expect(await find(hash(shop.apiKey))).toEqual({ accountId: shop.id })
  expect(await find(hash(otherShop.apiKey))).toEqual({ accountId: otherShop.id })
})

it('an unknown key has no account', async () => {
  expect(await find(hash('unknown'))).toBeNull()
})

it('a revoked key has no account, and the other keys go on', async () => {
  await database.client.apiKey.update({
    where: { keySha256: hash(shop.apiKey) },
    data: { revokedAt: new Date() },
  })
  expect(await find(hash(shop.apiKey))).toBeNull()
  expect(await find(hash(otherShop.apiKey))).toEqual({ accountId: otherShop.id })
})
