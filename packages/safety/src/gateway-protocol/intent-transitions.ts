import type { SeenIn, Transition, WriteIn } from './run-protocol.ts'

export type IntentSeen = SeenIn<typeof intentTransitions> | 'missing' | 'unclear'
export type IntentWrite = WriteIn<typeof intentTransitions>

const open = ['confirmable', 'authorized', 'capturable', 'cancellable', 'declined'] as const
const used = ['authorized', 'capturable', 'declined', 'succeeded', 'cancelled'] as const
const stillOpen = 'unknown: the intent could not be cancelled yet'
const mayBeForgotten = 'unknown: no intent is stored, and the gateway may have forgotten the key of its creation'
const keyReused = 'orphan: the gateway has another intent under the key of this creation'

/**
 * The protocol of a payment intent. The first row that fits decides.
 *
 * Before any request, an intent can be
 * - wanted or unwanted, if none is stored. Either way it is created: the creation under the same key shows the intent
 *   that an earlier commit stored and lost, and only an intent that was seen and cancelled is out of the way;
 * - forgotten, if none is stored and the gateway may have forgotten the key of its creation;
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
 * - failed: the gateway repeats the answer under the key for a day. If a look shows no effect, the next key is used;
 * - repeated: a creation whose 5xx the gateway sends again, which proves that no intent will ever come of this key. Any
 *   other 5xx may hide an intent. Had the next key made a second one, a repetition after a lost commit would confirm
 *   the first;
 * - reused: the gateway has another request under the key of the creation, so it has an intent that we do not know.
 *
 * A decline is noted before the cancel, because a cancelled intent no longer shows it.
 */
// biome-ignore format: a table is read by its columns
export const intentTransitions = [
  // after                        seen                                 write first             then
  ['nothing',                     'wanted',                            null,                   'create'],
  ['nothing',                     'unwanted',                          null,                   'create'],
  ['nothing',                     'forgotten',                         null,                   mayBeForgotten],
  ['nothing',                     'stored',                            null,                   'look'],
  ['nothing',                     'capturable',                        null,                   'capture'],
  ['look',                        'confirmable',                       null,                   'confirm'],
  ['look',                        'capturable',                        null,                   'capture'],

  ['create',                      'confirmable',                       'store intent',         'confirm'],
  ['create',                      'cancellable',                       'store intent',         'cancel'],
  ['create',                      ['refused', 'rejected'],             null,                   'end'],
  ['create',                      'repeated',                          'next create key',      'unknown'],
  ['create',                      'reused',                            null,                   keyReused],
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
  ['nothing', 'forgotten',            null,        'end'],
  ['nothing', ['wanted', 'unwanted'], null,        'unknown: recovery still finds its intent by the key of its creation'],
  ['nothing', 'any',                  null,        'look'],
  ['look',    open,                   null,        'unknown: the gateway has its intent, which is not at an end'],
  ['look',    'missing',              null,        'end'],
  ['look',    'cancelled',            null,        'end'],
  ['look',    'succeeded',            null,        'end'],
  ['look',    'any',                  null,        'unknown'],
]
