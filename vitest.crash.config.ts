import { defineConfig } from 'vitest/config'

/** The slow half of the tests: every point of the whole run at which a process can die. */
export default defineConfig({
  test: {
    include: ['test/crash/**/*.test.ts', 'test/runbook/kill-anywhere.test.ts'],
    env: { RECOVER_EVERY_CRASH_POINT: '1' },
    globalSetup: ['test/temporary-files.ts'],
    pool: 'threads',
    isolate: false,
    fileParallelism: false,
    // Each process in it has a limit of its own; how long all of them take depends on the machine.
    testTimeout: 4 * 60 * 60_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/closing-line.ts'],
  },
})
