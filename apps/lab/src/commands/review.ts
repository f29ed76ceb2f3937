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
  /** Cancels that booking, and asks nothing of the gateway. */
  readonly cancelWithoutRefund?: boolean
  /** Records money of that payment that was returned without the gateway: so much, or all that is left. */
  readonly refundedOutside?: boolean
  readonly amount?: number | undefined
  /** The messages that were given up, instead of payments and refunds. */
  readonly topic?: string | undefined
  readonly sendAgain?: boolean
  readonly dismiss?: boolean
  /** For an orphan: enters it in the books, or returns its money. */
  readonly adopt?: boolean
  readonly refund?: boolean
  /** The orphan's id at the gateway, where it is not known. */
  readonly gatewayId?: string | undefined
  /** Lists the orphans of that order alone. */
  readonly order?: string | undefined
  /** The person who acts, and why. */
  readonly as?: string | undefined
  readonly reason?: string | undefined
}

/**
 * The operator's command, against what the environment names (GATEWAY_URL tells that it does), else against the stack that
 * `npm start` keeps. Its exit code is the program's: apps/worker/src/review.
 */
export async function review(options: ReviewOptions): Promise<number> {
  const { root, signal, say } = options
  const environment = environmentOfOperator(root)
  if (environment === null) {
    say('No stack is running here (npm start keeps one). For another one, set what its worker reads: DATABASE_URL, ...')
    return 2
  }
  const args = ['--enable-source-maps', join(root, 'apps/worker/dist/review.js'), ...asArguments(options)]
  const { exitCode } = await runTool(process.execPath, args, { folder: root, log: null, environment, signal })
  return exitCode ?? 1
}

function asArguments({ topic, id, as: name, reason, ...flags }: ReviewOptions): string[] {
  return [
    ...[topic, id].filter((word) => word !== undefined),
    ...(flags.fail === true ? ['--fail'] : []),
    ...(flags.cancel === true ? ['--cancel'] : []),
    ...(flags.cancelWithoutRefund === true ? ['--cancel-without-refund'] : []),
    ...(flags.refundedOutside === true ? ['--refunded-outside'] : []),
    ...(flags.amount === undefined ? [] : ['--amount', String(flags.amount)]),
    ...(flags.sendAgain === true ? ['--send-again'] : []),
    ...(flags.dismiss === true ? ['--dismiss'] : []),
    ...(flags.adopt === true ? ['--adopt'] : []),
    ...(flags.refund === true ? ['--refund'] : []),
    ...(flags.gatewayId === undefined ? [] : ['--gateway-id', flags.gatewayId]),
    ...(flags.order === undefined ? [] : ['--order', flags.order]),
    ...operatorArguments({ as: name, reason }),
  ]
}

/** As the programs read them. */
export function operatorArguments({ as: name, reason }: Pick<ReviewOptions, 'as' | 'reason'>): string[] {
  return [...(name === undefined ? [] : ['--as', name]), ...(reason === undefined ? [] : ['--reason', reason])]
}
