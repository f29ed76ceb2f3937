import express from 'express'
import supertest from 'supertest'
import { expect, it, vi } from 'vitest'
import { createLogger, errorAnswer, requestContext } from '../src/index.ts'

function appThatThrows(fault: unknown) {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', instance: 'shop-1' }, { write: (line) => lines.push(line) })
  const app = express()
  app.use(requestContext({ instance: 'shop-1' }))
  app.get('/', async () => {
    throw fault
  })
  app.use(errorAnswer({ logger }))
  return { ask: () => supertest(app).get('/').set('X-Request-Id', 'request-of-mine'), lines }
}

function faultWith(code: string): Error {
  return Object.assign(new Error('password authentication failed for user "seatbelt"'), { code })
}

it.each(['database-unavailable', 'lock-not-available', 'transaction-conflict'])(
  '%s is a 503 that says when to come again',
  async (code) => {
    const answer = await appThatThrows(faultWith(code)).ask()
    expect([answer.status, answer.headers['retry-after'], answer.body.code]).toEqual([
      503,
      '1',
      'temporarily-unavailable',
    ])
  },
)

it('a commit of unknown outcome is a 500: a 503 would promise that nothing was done', async () => {
  const answer = await appThatThrows(faultWith('commit-unknown')).ask()
  expect([answer.status, answer.body.code]).toEqual([500, 'internal'])
  expect(answer.body.detail).toMatch(/not known/)
})

it.each([
  ['an error', faultWith('ECONNRESET')],
  ['an error with a status of its own', Object.assign(new Error('seatbelt'), { status: 404, expose: true })],
  ['a string', 'seatbelt'],
])('%s is a 500 that tells nothing, and is logged whole under the name of its request', async (_what, fault) => {
  const { ask, lines } = appThatThrows(fault)
  const answer = await ask()
  expect([answer.status, answer.body.code]).toEqual([500, 'internal'])
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.text).not.toContain('seatbelt"')
  expect(answer.body.detail).not.toContain('seatbelt')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 'error', requestId: 'request-of-mine' }])
  expect(lines[0]).toContain('seatbelt')
})

it('a fault after the answer has begun cuts it off, and prints nothing', async () => {
  const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const app = express()
  app.set('env', 'production')
  app.use(requestContext({ instance: 'shop-1' }))
  app.get('/', (_request, response, next) => {
    response.writeHead(200, { 'Content-Length': 100 })
    response.write('half of it')
    next(new Error('seatbelt'))
  })
  app.use(errorAnswer({ logger: createLogger({ level: 'silent', instance: 'shop-1' }) }))
  await expect(supertest(app).get('/')).rejects.toThrow()
  expect(printed).not.toHaveBeenCalled()
  printed.mockRestore()
})
