import { appendFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/** Tests that look at material beside the checkout, or need a program that no registry has; no machine can be asked for it. */
const mayBeSkipped = /real repository|real k0sctl/

/**
 * Ends every test run in one line that a script can read: `N passed, N failed, N skipped`. With RECOVER_NO_SKIP set, as
 * in CI, a test that was skipped although this machine could be made to run it counts as failed. RECOVER_TALLY names a
 * file to which the three numbers are added as a line.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0 }
    for (const module of modules) {
      // A file that does not even load has no test to count, and must not look like success.
      if (module.errors().length > 0) count.failed += 1
      // Nor must a group whose preparation failed: its tests count as skipped.
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length > 0 ? 1 : 0
      for (const test of module.children.allTests()) {
        const state = test.result().state
        if (state === 'passed' || state === 'failed') count[state] += 1
        else if (process.env.RECOVER_NO_SKIP && !mayBeSkipped.test(test.fullName)) {
          count.failed += 1
          process.stdout.write(`skipped, which this machine could have run: ${test.fullName}\n`)
          process.exitCode = 1
        } else {
          count.skipped += 1
          process.stdout.write(`skipped: ${test.fullName}\n`)
        }
      }
    }
    const { passed, failed, skipped } = count
    if (process.env.RECOVER_TALLY)
      appendFileSync(process.env.RECOVER_TALLY, `${passed} ${failed} ${skipped}\n`)
    process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`)
  }
}
