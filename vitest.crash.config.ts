import { defineConfig } from 'vitest/config'

/** The slow half of the tests: every point of the whole run at which a process can die. */
export default defineConfig({
  test: {
    include: ['test/crash/**/*.test.ts', 'test/runbook/kill-anywhere.test.ts'],
    env: { RECOVER_EVERY_CRASH_POINT: '1' },
    pool: 'threads',
    isolate: false,
    fileParallelism: false,
    testTimeout: 30 * 60_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/closing-line.ts'],
  },
})
