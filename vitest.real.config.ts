import { defineConfig } from 'vitest/config'
import { longestFirst } from './test/longest-first.ts'

/** Tests that need real parts: root, Debian packages, virtual machines. `npm run test:real` makes a place for them. */
export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    pool: 'threads',
    isolate: false,
    // Much of the time they wait: for a firmware, a cable that is out, a boot. Each machine has 1.3 GB.
    maxWorkers: 3,
    // Whole installations take minutes.
    sequence: {
      sequencer: longestFirst(
        /strategies/,
        /-by-network/,
        /-virtual-media/,
        /-uefi/,
        /-over-data/,
        /iscsi/,
        /host-copy/,
        /disks/,
        /power/,
      ),
    },
    testTimeout: 600_000,
    hookTimeout: 600_000,
    reporters: ['default', './test/closing-line.ts'],
  },
})
