import type { RequestHandler } from 'express'
import { type Answer, sendAnswer } from './answer.ts'

/** Lets so many requests through at once, each until its answer is out or its client gone, and answers the others with `busy`. */
export function atMostAtOnce(places: number, busy: Answer): RequestHandler {
  let takenPlaces = 0
  return (_request, response, next) => {
    if (takenPlaces >= places) return sendAnswer(response, busy)
    takenPlaces += 1
    response.once('close', () => {
      takenPlaces -= 1
    })
    next()
  }
}
