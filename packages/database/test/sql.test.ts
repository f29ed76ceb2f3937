import { describe, expect, it } from 'vitest'
import { empty, join, sql } from '../src/index.ts'
import { statementName } from '../src/sql.ts'

describe('sql', () => {
  it('numbers its values, and those of the templates that it contains, in their order', () => {
    const isOpen = sql`state = ${'open'} OR until > ${new Date(0)}`
    const statement = sql`SELECT ${empty}id FROM ${sql`orders`} WHERE a = ${1} AND (${isOpen}) AND b IN (${join([2, 3])})`
    expect(statement.text).toBe('SELECT id FROM orders WHERE a = $1 AND (state = $2 OR until > $3) AND b IN ($4, $5)')
    expect(statement.values).toEqual([1, 'open', new Date(0), 2, 3])
  })

  it('joins templates', () => {
    const rows = [1, 2].map((id) => sql`(${id}::int, ${`row ${id}`})`)
    const statement = sql`INSERT INTO t VALUES ${join(rows)} ON CONFLICT DO NOTHING`
    expect(statement.text).toBe('INSERT INTO t VALUES ($1::int, $2), ($3::int, $4) ON CONFLICT DO NOTHING')
    expect(statement.values).toEqual([1, 'row 1', 2, 'row 2'])
    expect(join([sql`a`, sql`b`], ' AND ').text).toBe('a AND b')
    expect(() => join([])).toThrow(RangeError)
  })

  it('takes a list as one value', () => {
    const statement = sql`SELECT 1 WHERE 2 = ANY (${[1, 2]}::int[])`
    expect([statement.text, statement.values]).toEqual(['SELECT 1 WHERE 2 = ANY ($1::int[])', [[1, 2]]])
  })
})

describe('the name of a statement', () => {
  it('comes from its text alone, so that all processes behind a pooler use the same', () => {
    expect(statementName('SELECT 1')).toBe('s4ATr1bVTKkuFmEpi-K1IqB')
    expect(statementName('SELECT 2')).not.toBe(statementName('SELECT 1'))
    expect(statementName('SELECT 1')?.length).toBeLessThan(63)
  })

  it('is not given to long texts, nor to any number of them', () => {
    expect(statementName(`SELECT ${'1,'.repeat(10_000)} 1`)).toBeUndefined()
    const names = Array.from({ length: 1_000 }, (_, at) => statementName(`SELECT ${at} AS many`))
    expect(names.filter((name) => name === undefined).length).toBeGreaterThan(0)
    expect(statementName('SELECT 1')).toBeDefined()
  })
})
