import { expect, it } from 'vitest'
import { configSchema as bookingApiSchema } from '../../../booking-api/src/config.ts'
import { configSchema as gatewaySchema } from '../../../gateway/src/config.ts'
import { configSchema as paymentsApiSchema } from '../../../payments-api/src/config.ts'
import { configSchema as workerSchema } from '../../../worker/src/config.ts'
import { configSchema as migrateSchema } from '../../../worker/src/migrate/config.ts'
import { configSchema as auditorSchema } from '../../src/auditor/config.ts'
import { configSchema as mailSinkSchema } from '../../src/mail-sink/config.ts'
import { readInterpolations, readText } from './read-compose-file.ts'

const schemas = [
  ...[gatewaySchema, paymentsApiSchema, bookingApiSchema, workerSchema],
  ...[migrateSchema, auditorSchema, mailSinkSchema],
]
const lines = [...readText('.env.example').matchAll(/^#?([A-Z][A-Z0-9_]+)=(.*)$/gm)]
const example = new Map(lines.map(([, name = '', value = '']) => [name, value]))
const interpolations = readInterpolations()

it('.env.example names every variable that a program or docker-compose.yml reads, once, and no other', () => {
  const read = new Set([...schemas.flatMap(({ shape }) => Object.keys(shape)), ...interpolations.keys()])
  expect(lines.map(([, name]) => name).sort()).toEqual([...read].sort())
})

it('.env.example shows the defaults of docker-compose.yml', () => {
  const defaults = [...interpolations].filter(([, value]) => value !== null)
  expect(defaults.map(([name]) => [name, example.get(name)])).toEqual(defaults)
})

it('.env.example shows the defaults of the programs', () => {
  // The first program that has a variable is the one whose default is shown; others stand in the comment above it.
  const shapes = [paymentsApiSchema, bookingApiSchema, workerSchema, gatewaySchema, mailSinkSchema].map(
    ({ shape }) => shape,
  )
  const shape = Object.assign({}, ...shapes.reverse()) as typeof paymentsApiSchema.shape
  for (const [name, field] of Object.entries(shape)) {
    const { success, data } = field.safeParse(undefined)
    if (!success || interpolations.has(name)) continue
    expect([name, field.parse(example.get(name))]).toEqual([name, data])
  }
})
