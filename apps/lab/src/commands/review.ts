import { join } from 'node:path'
import { runTool } from '../../../../scripts/run-tool.mjs'
import { environmentOfOperator } from '../stack/environment-of-operator.ts'

export interface ReviewOptions {
  readonly root: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
  /** Of a payment or a refund to look at now; without it all that wait for a person are listed. */
  readonly id?: string | undefined
  /** Ends that refund, or that payment, if the gateway does not have it. */
  readonly fail?: boolean
  readonly cancel?: boolean
}

/**
 * The operator's command, against what the environment names (GATEWAY_URL tells that it does), else against the stack that
 * `npm start` keeps. Its exit code is the program's: apps/worker/src/review.
 */
export async function review({ root, signal, say, id, fail, cancel }: ReviewOptions): Promise<number> {
  const environment = environmentOfOperator(root)
  if (environment === null) {
    say('No stack is running here (npm start keeps one). For another one, set what its worker reads: DATABASE_URL, ...')
    return 2
  }
  const asked = [...(id === undefined ? [] : [id]), ...(fail ? ['--fail'] : []), ...(cancel ? ['--cancel'] : [])]
  const args = ['--enable-source-maps', join(root, 'apps/worker/dist/review.js'), ...asked]
  const { exitCode } = await runTool(process.execPath, args, { folder: root, log: null, environment, signal })
  return exitCode ?? 1
}
