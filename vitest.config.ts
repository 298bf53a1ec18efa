import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/crash/**', 'test/real/**', 'node_modules/**'],
    pool: 'threads',
    isolate: false,
    // Many tests wait for processes and sockets; vitest itself would take one at a time on two cores.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ['default', './test/closing-line.ts'],
  },
})
