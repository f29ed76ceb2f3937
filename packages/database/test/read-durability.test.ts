import { freshDatabase } from '@seatbelt/testing'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase, type Database, readDurability } from '../src/index.ts'

const safe = {
  fsync: 'on',
  synchronousCommit: 'on',
  standbyNames: '',
  seesStandbys: true,
  standbys: 0,
  synchronous: 0,
  timeline: '00000001',
  role: 'seatbelt',
}

describe('what commits survive', () => {
  it.each([
    ['one server without standbys', {}, []],
    ['a synchronous standby', { standbyNames: '*', standbys: 1, synchronous: 1 }, []],
    ['a synchronous standby that is away', { standbyNames: '*' }, []],
    ['fsync off', { fsync: 'off' }, ['fsync-off']],
    ['synchronous_commit off', { synchronousCommit: 'off' }, ['synchronous-commit-off']],
    ['an asynchronous standby', { standbys: 1 }, ['standby-asynchronous']],
    [
      'commits that wait for the own disk alone',
      { standbyNames: '*', standbys: 1, synchronous: 1, synchronousCommit: 'local' },
      ['standby-asynchronous'],
    ],
    ['a role that cannot see the standbys', { seesStandbys: false, standbys: 1 }, ['unreadable']],
  ])('%s', async (_, settings, risks) => {
    const query = async <Row>() => [{ ...safe, ...settings }] as Row[]
    expect((await readDurability(query)).risks).toEqual(risks)
  })
})

describe('a real server', () => {
  let fresh: Awaited<ReturnType<typeof freshDatabase>>
  let admin: Client
  let database: Database
  beforeAll(async () => {
    fresh = await freshDatabase()
    admin = new Client({ connectionString: fresh.url })
    await admin.connect()
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    const url = new URL(fresh.url)
    url.username = role
    url.password = 'secret'
    database = createDatabase({ url: url.href, poolSize: 1, applicationName: 'durability' })
  })
  afterAll(async () => {
    await database?.close()
    await admin?.query(`DROP ROLE ${role}`)
    await admin?.end()
    await fresh?.close()
  })
  const role = `seatbelt_durability_${process.pid}`

  it('shows its standbys only to a role that may see them', async () => {
    const blind = await readDurability(database.query)
    expect(blind).toMatchObject({ timeline: expect.stringMatching(/^[0-9A-F]{8}$/), standbys: null })
    expect(blind.remedy).toBe(`GRANT pg_read_all_stats TO ${role}`)
    expect(blind.risks).toContain('unreadable')
    await admin.query(blind.remedy ?? '')
    const seeing = await readDurability(database.query)
    expect(seeing.standbys).toBe(0)
    expect(seeing.risks).not.toContain('unreadable')
  })

  it('counts the setting of the session that commits', async () => {
    await admin.query(`ALTER ROLE ${role} SET synchronous_commit = off`)
    const changed = createDatabase({ url: roleUrl(), poolSize: 1, applicationName: 'durability-2' })
    expect((await readDurability(changed.query)).risks).toContain('synchronous-commit-off')
    await changed.close()
  })

  function roleUrl(): string {
    const url = new URL(fresh.url)
    url.username = role
    url.password = 'secret'
    return url.href
  }
})
