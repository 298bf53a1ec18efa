import { defineConfig } from 'vitest/config'

/** Tests against a real API server with its controllers. `npm run test:kube` makes a place for them. */
export default defineConfig({
  test: {
    include: ['test/kube/**/*.test.ts'],
    globalSetup: ['test/kube/harness/template.ts'],
    pool: 'threads',
    isolate: false,
    maxWorkers: 2,
    // A bound against what hangs: a control plane shares its cores with anything.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    reporters: ['default', './test/closing-line.ts'],
  },
})
