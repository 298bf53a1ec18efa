import { defineConfig } from 'vitest/config'
import { longestFirst } from './test/longest-first.ts'

/** The slow half of the tests: every point of the whole run at which a process can die, and whole rehearsals of homes. */
export default defineConfig({
  test: {
    include: [
      'test/crash/**/*.test.ts',
      'test/rehearsals/**/*.test.ts',
      'test/runbook/kill-anywhere.test.ts',
    ],
    globalSetup: ['test/temporary-files.ts'],
    env: { RECOVER_EVERY_CRASH_POINT: '1' },
    pool: 'threads',
    isolate: false,
    // Beside the points of the whole run, which keep the cores busy, goes what mostly waits.
    maxWorkers: 2,
    sequence: { sequencer: longestFirst(/from-scratch/, /faults/, /ladder-broken/) },
    // Each process in it has a limit of its own; how long all of them take depends on the machine.
    testTimeout: 4 * 60 * 60_000,
    hookTimeout: 30 * 60_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', './test/closing-line.ts'],
  },
})
