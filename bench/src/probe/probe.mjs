// Loaded into a measured process with `node --import`. It observes the process from one SIGUSR2 to the next, and writes
// down what V8 saw.
//
// BENCH_PROBE is `coverage` (which functions were called, and how often) or `profile` (where the CPU time went).
// BENCH_PROBE_OUTPUT is the file for the result; OUTPUT.begun appears when the observation has begun.

import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import process from 'node:process'

const { BENCH_PROBE: kind, BENCH_PROBE_OUTPUT: output } = process.env

/** A tenth of a millisecond: V8's default of one would miss most of a request. */
const samplingIntervalUs = 100

const session = new Session()
session.connect()
await session.post('Profiler.enable')

const probes = {
  coverage: {
    prepare: () => session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false }),
    // Reading the counts sets them to zero.
    begin: () => session.post('Profiler.takePreciseCoverage'),
    end: () => session.post('Profiler.takePreciseCoverage'),
  },
  profile: {
    prepare: () => session.post('Profiler.setSamplingInterval', { interval: samplingIntervalUs }),
    begin: () => session.post('Profiler.start'),
    end: () => session.post('Profiler.stop'),
  },
}
const probe = probes[kind]

// Counting starts before the program's own modules are compiled.
await probe.prepare()

let isObserving = false

process.on('SIGUSR2', async () => {
  isObserving = !isObserving
  if (isObserving) {
    await probe.begin()
    writeFileSync(`${output}.begun`, '')
    return
  }
  const result = await probe.end()
  writeFileSync(`${output}.new`, JSON.stringify(result))
  renameSync(`${output}.new`, output)
})
