import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Whole installations first: they take minutes, and the rest finds room beside them. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const long = (file: TestSpecification) => /\binstall-/.test(file.moduleId)
    return [...sorted.filter(long), ...sorted.filter(file => !long(file))]
  }
}

/** Tests that need real parts: root, Debian packages, virtual machines. `npm run test:real` makes a place for them. */
export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    pool: 'threads',
    isolate: false,
    // Most of the time they wait for a machine.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/closing-line.ts'],
  },
})
