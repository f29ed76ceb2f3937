import type { SeenIn, Transition, WriteIn } from './run-protocol.ts'

export type IntentSeen = SeenIn<typeof intentTransitions> | 'missing' | 'unclear'
export type IntentWrite = WriteIn<typeof intentTransitions>

const open = ['confirmable', 'authorized', 'capturable', 'cancellable', 'declined'] as const
const used = ['authorized', 'capturable', 'cancellable', 'declined', 'succeeded', 'cancelled'] as const
const stillOpen = 'unknown: the intent could not be cancelled yet'

/**
 * The protocol of a payment intent. The first row that fits decides.
 *
 * Before any request, an intent can be
 * - wanted or unwanted, if none is stored. An owner that created one without storing it cannot confirm it any more;
 * - stored, or capturable: this owner has claimed the capture of an authorized amount.
 *
 * Afterwards, it can be
 * - confirmable: no confirm has had an effect yet, and one is wanted;
 * - authorized: nothing else is wanted, or capturable: the amount is to be captured;
 * - cancellable: it could still take money, but none is wanted;
 * - declined: the card was declined, but the intent could be confirmed again;
 * - succeeded or cancelled, which are final;
 * - missing: only a person can tell whether it was deleted or belongs to another account because our key is wrong;
 * - unclear: there was no answer, or the answer proves nothing. The request keeps its key.
 *
 * A request can be
 * - refused: a card error proves that no money moved; after a capture, the authorization is over;
 * - rejected: the reason may be our request, which says nothing about the card;
 * - failed: the gateway repeats the answer under the key for a day. If a look shows no effect, the next key is used.
 *
 * A decline is noted before the cancel, because a cancelled intent no longer shows it.
 */
// biome-ignore format: a table is read by its columns
export const intentTransitions = [
  // after                        seen                                 write first             then
  ['nothing',                     'wanted',                            null,                   'create'],
  ['nothing',                     'unwanted',                          null,                   'end'],
  ['nothing',                     'stored',                            null,                   'look'],
  ['nothing',                     'capturable',                        null,                   'capture'],
  ['look',                        'confirmable',                       null,                   'confirm'],
  ['look',                        'capturable',                        null,                   'capture'],

  ['create',                      'confirmable',                       'store intent',         'confirm'],
  ['create',                      ['refused', 'rejected'],             null,                   'end'],
  ['create',                      'failed',                            'next create key',      'unknown'],
  ['create',                      used,                                null,                   'unknown: the created intent is not new'],

  ['confirm',                     'confirmable',                       null,                   'unknown: the confirm had no effect'],
  ['confirm',                     'refused',                           'note decline',         'cancel'],
  ['confirm',                     'rejected',                          null,                   'look after rejected confirm'],
  ['confirm',                     'failed',                            null,                   'look after failed confirm'],
  ['look after rejected confirm', 'confirmable',                       'note earlier decline', 'cancel'],
  ['look after failed confirm',   'confirmable',                       'next confirm key',     'unknown, as before'],

  ['capture',                     'capturable',                        null,                   'unknown: the capture had no effect'],
  ['capture',                     'refused',                           null,                   'look after refused capture'],
  ['capture',                     ['rejected', 'failed'],              null,                   'look after failed capture'],
  ['look after refused capture',  open,                                'note earlier decline', 'cancel'],
  ['look after refused capture',  'cancelled',                         null,                   'end, as before'],
  ['look after failed capture',   'capturable',                        'next capture key',     'unknown, as before'],

  ['cancel',                      ['refused', 'rejected', 'failed'],   null,                   'look after cancel'],
  ['cancel',                      open,                                'next cancel key',      stillOpen],
  ['look after cancel',           open,                                'next cancel key',      stillOpen],

  // Otherwise:
  ['any',                         'cancellable',                       null,                   'cancel'],
  ['any',                         'declined',                          'note decline',         'cancel'],
  ['any',                         ['authorized', 'succeeded'],         null,                   'end'],
  ['any',                         'cancelled',                         null,                   'end'],
  ['any',                         'any',                               null,                   'unknown'],
] as const satisfies readonly Transition[]

/** For an operator who believes that the gateway has no such intent. It looks and asks for nothing. */
// biome-ignore format: a table is read by its columns
export const missingIntentTransitions: readonly Transition[] = [
  // after    seen                    write first  then
  ['nothing', ['wanted', 'unwanted'], null,        'unknown: no intent is stored that could be missing'],
  ['nothing', 'any',                  null,        'look'],
  ['look',    open,                   null,        'unknown: the gateway has its intent, which is not at an end'],
  ['look',    'missing',              null,        'end'],
  ['look',    'cancelled',            null,        'end'],
  ['look',    'succeeded',            null,        'end'],
  ['look',    'any',                  null,        'unknown'],
]
