import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/crash/**', 'test/kube/**', 'test/real/**', 'test/rehearsals/**', 'node_modules/**'],
    globalSetup: ['test/temporary-files.ts'],
    pool: 'threads',
    isolate: false,
    // Many tests wait for processes and sockets; vitest itself would take one at a time on two cores.
    maxWorkers: 3,
    // A bound against what hangs, not a measure: a test that takes two seconds may share its cores with anything.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    reporters: ['default', './test/closing-line.ts'],
  },
})
