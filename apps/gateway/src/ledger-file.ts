import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Fact } from './facts.ts'

export interface LedgerFile {
  /**
   * Writes all facts or none, before it returns. They survive the death of this process at any later moment (not a power
   * cut: there is no fsync, because the model is process death). Throws when the disk refuses; then nothing was written.
   */
  append(facts: readonly Fact[]): void
  close(): void
}

/** Returns how many bytes it took. Tests put a full disk here. */
export type Write = (file: number, bytes: Buffer, offset: number) => number

const readChunkBytes = 1 << 20

/**
 * Opens or creates the append-only file, one JSON fact a line, and hands every fact in it to `onFact` in order.
 *
 * A last line without its newline was never answered for (it was cut short by a kill in the middle of a write) and is
 * cut off. Anything else that cannot be read throws an Error with code `ledger-corrupt`: a witness that skips what it
 * cannot read is none.
 */
export function openLedgerFile(path: string, onFact: (fact: Fact) => void, write: Write = writeSync): LedgerFile {
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'a+')
  let isClosed = false
  let lengthBytes: number
  try {
    lengthBytes = readFacts(file, onFact)
    ftruncateSync(file, lengthBytes)
  } catch (error) {
    closeSync(file)
    throw error
  }

  return {
    append(facts) {
      // The number of a closed file may by now stand for another one.
      if (isClosed) throw new Error("The gateway's ledger is closed")
      const bytes = Buffer.from(facts.map((fact) => `${JSON.stringify(fact)}\n`).join(''))
      try {
        writeWhole(write, file, bytes)
      } catch (error) {
        // Half a line in the middle would make the rest of the file unreadable.
        ftruncateSync(file, lengthBytes)
        throw error
      }
      lengthBytes += bytes.length
    },
    close() {
      if (isClosed) return
      isClosed = true
      closeSync(file)
    },
  }
}

/** Returns how many bytes hold whole lines. */
function readFacts(file: number, onFact: (fact: Fact) => void): number {
  const chunk = Buffer.alloc(readChunkBytes)
  let rest: Buffer = Buffer.alloc(0)
  let position = 0
  let lineNumber = 0
  for (;;) {
    const count = readSync(file, chunk, 0, chunk.length, position)
    if (count === 0) return position - rest.length
    position += count
    const bytes = Buffer.concat([rest, chunk.subarray(0, count)])
    let start = 0
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      lineNumber += 1
      onFact(parseLine(bytes.toString('utf8', start, end), lineNumber))
      start = end + 1
    }
    rest = Buffer.from(bytes.subarray(start))
  }
}

function parseLine(line: string, lineNumber: number): Fact {
  try {
    return JSON.parse(line) as Fact
  } catch (cause) {
    throw ledgerCorrupt(`line ${lineNumber} is not JSON`, cause)
  }
}

export function ledgerCorrupt(what: string, cause?: unknown): Error {
  return Object.assign(new Error(`The gateway's ledger cannot be read: ${what}`, { cause }), { code: 'ledger-corrupt' })
}

/** `write` may take less than it was given. */
function writeWhole(write: Write, file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    written += write(file, bytes, written)
  }
}
