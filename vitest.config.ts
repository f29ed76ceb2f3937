import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['apps/*/test/**/*.test.ts', 'packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts'],
    globalSetup: 'apps/lab/src/stack/test-servers.ts',
    // Processes, because tests start servers and read their own environment; two, because two cores are what is promised.
    pool: 'forks',
    maxWorkers: 2,
    // Tests wait for real servers on a machine that may be busy twenty times over; none needs a tenth of it otherwise.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
})
