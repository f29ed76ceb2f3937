import type { SeenIn, Transition } from './run-protocol.ts'

export type RefundSeen = SeenIn<typeof refundTransitions> | 'taken' | 'missing' | 'unclear'

const mayBeForgotten = 'unknown: it is not there, and the gateway may have forgotten the key that it was asked for with'

const keyReused = 'orphan: the gateway has another refund under this key'

/**
 * The protocol of a refund. The first row that fits decides.
 *
 * The refund can be
 * - absent: the whole list does not have it, or this is its first owner;
 * - forgotten: it is absent, but the gateway may have forgotten the key of an earlier request;
 * - shown, in whatever state it is;
 * - taken: the whole list has its name on another refund only, which our books lost;
 * - missing: it was shown before, and its id is not known any more. Only a person can tell what that means;
 * - unclear: there was no answer, or the answer proves nothing. The request keeps its key.
 *
 * A request can be
 * - refused: an earlier request may have had its effect, so that nothing is left to refund. Or a proxy refused what it
 *   had forwarded, or the list lags: then the second look, after a pause, shows the refund. Without it, a refusal that
 *   was believed wrongly would be refunded once more;
 * - failed: a 5xx, which a proxy can send while the gateway still works on the request;
 * - reused: the gateway has another refund under its key, which our books do not have;
 * - repeated: a 5xx that the gateway sends again for this key, which proves that the request has ended.
 */
// biome-ignore format: a table is read by its columns
export const refundTransitions = [
  // after                      seen          write first  then
  ['nothing',                   'taken over', null,        'refund-look'],
  ['nothing',                   'absent',     null,        'refund'],
  ['refund-look',               'absent',     null,        'refund'],

  ['refund',                    'failed',     null,        'refund again'],
  ['refund',                    'repeated',   null,        'refund-look after failure'],
  ['refund',                    'refused',    null,        'refund-look after refusal'],
  ['refund again',              'repeated',   null,        'refund-look after failure'],
  ['refund again',              'refused',    null,        'refund-look after refusal'],
  ['refund-look after failure', 'absent',     'next key',  'unknown, as before'],
  ['refund-look after refusal', 'absent',     'pause',     'refund-look after pause'],
  ['refund-look after pause',   'absent',     null,        'end, as before'],

  ['refund',                    'reused',     null,        keyReused],
  ['refund again',              'reused',     null,        keyReused],

  // Otherwise:
  ['any',                       'shown',      null,        'end'],
  ['any',                       'forgotten',  null,        mayBeForgotten],
  ['any',                       'any',        null,        'unknown'],
] as const satisfies readonly Transition[]

/** For an operator who believes that the refund was never made. It looks and asks for nothing. */
// biome-ignore format: a table is read by its columns
export const missingRefundTransitions: readonly Transition[] = [
  // after        seen                                                  write first  then
  ['nothing',     'any',                                                null,        'refund-look'],
  ['refund-look', ['shown', 'absent', 'forgotten', 'taken', 'missing'], null,        'end'],
  ['refund-look', 'any',                                                null,        'unknown'],
]
