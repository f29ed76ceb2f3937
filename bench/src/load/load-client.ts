import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Slice, SliceAnswer, SliceResult } from './slice.ts'

/** The slice has no figures: a request failed, an answer was not the expected one, or no answer came in time. */
export class SliceFailed extends Error {}

export interface LoadClient {
  /** One slice at a time. Rejects with `SliceFailed`, or because the load client died. */
  run(slice: Slice): Promise<SliceResult>
  stop(): Promise<void>
}

/** Starts the load client. It ends with this process, because its channel closes then. */
export function startLoadClient(root: string): LoadClient {
  const child = fork(join(root, 'bench/dist/load-client.js'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return {
    run: (slice) => ask(child, slice),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    },
  }
}

function ask(child: ChildProcess, slice: Slice): Promise<SliceResult> {
  return new Promise((resolve, reject) => {
    const onMessage = (answer: SliceAnswer) => {
      child.off('exit', onExit)
      if ('result' in answer) resolve(answer.result)
      else reject(new SliceFailed(answer.failure))
    }
    const onExit = (code: number | null) => {
      child.off('message', onMessage)
      child.off('exit', onExit)
      reject(new Error(`the load client ended (exit code ${code})`))
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
    // Without this function, a client that has just died would be an event that nothing handles.
    child.send(slice, (error) => {
      if (error) onExit(child.exitCode)
    })
  })
}
