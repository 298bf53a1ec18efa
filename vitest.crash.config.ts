import { defineConfig } from 'vitest/config'

/** The slow half of the tests: every point of the whole run at which a process can die. */
export default defineConfig({
  test: {
    include: ['test/crash/**/*.test.ts'],
    pool: 'threads',
    isolate: false,
    fileParallelism: false,
    testTimeout: 30 * 60_000,
    hookTimeout: 60_000,
  },
})
