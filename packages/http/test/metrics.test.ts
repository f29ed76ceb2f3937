import express from 'express'
import supertest from 'supertest'
import { expect, it } from 'vitest'
import { createMetrics, refusalAnswer, sendAnswer } from '../src/index.ts'

it('requests are counted by the pattern of their route, not by their path', async () => {
  const metrics = createMetrics({ processMetrics: false })
  const app = express()
  app.use(metrics.measureRequests)
  app.get('/v1/orders/:orderId', (_request, response) => void response.end())
  app.get('/metrics', metrics.answerMetrics)
  const client = supertest(app)
  await client.get('/v1/orders/1')
  await client.get('/v1/orders/2')
  await client.get('/nowhere')

  const { text } = await client.get('/metrics')
  expect(text).toContain('http_request_duration_seconds_count{method="GET",route="/v1/orders/:orderId",status="200"} 2')
  expect(text).toContain('http_request_duration_seconds_count{method="GET",route="none",status="404"} 1')
  expect(text).toContain('http_requests_in_flight 1')
})

it('problems are counted by their code', async () => {
  const metrics = createMetrics({ processMetrics: false })
  const app = express()
  app.use(metrics.measureRequests)
  app.get('/', (_request, response) =>
    sendAnswer(response, refusalAnswer({ code: 'too-many-declines', scope: 'customer', retryAfterSeconds: 7 })),
  )
  const response = await supertest(app).get('/')
  expect([response.status, response.headers['retry-after']]).toEqual([429, '7'])
  expect(response.body).toMatchObject({ code: 'too-many-declines', scope: 'customer', retryAfterSeconds: 7 })
  expect(await metrics.registry.metrics()).toContain('http_problems_total{code="too-many-declines"} 1')
})
