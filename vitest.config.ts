import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['apps/*/test/**/*.test.ts', 'packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts'],
    globalSetup: 'apps/lab/src/stack/test-servers.ts',
    // Processes, because tests start servers and read their own environment; two, because two cores are what is promised.
    pool: 'forks',
    maxWorkers: 2,
    // Tests wait for real servers on a machine that may be busy; none is meant to need a tenth of it.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
})
