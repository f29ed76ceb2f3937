import process from 'node:process'
import type { TaskAnswer, TaskRequest } from '../explore/explore-workers.ts'
import { runTask } from '../explore/run-task.ts'

// Explorations wait for answers of three servers and judge between them. One process keeps one core busy, so
// `npm run explore` forks several of these. Each runs one task at a time, and ends with the process that forked it.

let current = new AbortController()

process.on('message', (request: TaskRequest | 'stop') => {
  if (request === 'stop') return current.abort()
  current = new AbortController()
  runTask(request.task, request.servers, current.signal).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
// Ctrl-C at a terminal reaches all processes. The parent ends this one after it has written its report.
process.on('SIGINT', () => undefined)

function answer(message: TaskAnswer): void {
  process.send?.(message)
}
