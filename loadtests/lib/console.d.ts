/** k6 has a console, but its type package leaves it to the DOM's library, which would bring all of a browser with it. */
declare const console: Record<'log' | 'warn' | 'error', (message: string) => void>
